//! `kind = "matrix"`.

use super::settings::{Audience, Part, Settings};
use crate::secret::Secret;

/// A room of Matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The homeserver.
    pub url: String,
    /// The access token of a user who is in the room.
    pub token: Secret,
    /// The room's id: `!abc:example.org`.
    pub room: String,
}

impl Settings for Matrix {
    fn kind(&self) -> &'static str {
        "matrix"
    }

    fn audience(&self) -> Audience {
        Audience::Chat
    }

    fn parts(&self) -> Vec<Part> {
        vec![
            Part::plain("url", &self.url),
            Part::secret("token", &self.token),
            Part::plain("room", &self.room),
        ]
    }
}
