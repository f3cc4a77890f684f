//! What a request asks to be done with the thing at its address.

use ureq::Agent;
use ureq::http::{HeaderName, HeaderValue, Response, Uri};

/// The methods of requests that change something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Takes the body as something new.
    #[default]
    Post,
    /// Puts the body in place of what is there.
    Put,
    /// Changes what is there as the body says.
    Patch,
    /// Takes away what is there; sent without a body.
    Delete,
}

impl Method {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Sends one request through `agent`.
    pub(super) fn run(
        self,
        agent: &Agent,
        (uri, headers): (&Uri, &[(HeaderName, HeaderValue)]),
        body: &[u8],
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut with_body = match self {
            Self::Post => agent.post(uri),
            Self::Put => agent.put(uri),
            Self::Patch => agent.patch(uri),
            Self::Delete => {
                let mut bare = agent.delete(uri);
                for (name, value) in headers {
                    bare = bare.header(name, value);
                }
                return bare.call();
            }
        };
        for (name, value) in headers {
            with_body = with_body.header(name, value);
        }
        with_body.send(body)
    }
}
