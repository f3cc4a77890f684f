//! One agent of ureq for each way there is to an address, made when it is first taken: agents keep connections,
//! and one that a proxy or a looser rule opened must not serve a stricter one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector};

use super::error::FetchError;
use super::{resolver, transport};
use crate::limits;
use crate::model::via::{Authority, Via};

/// The agents so far.
pub(super) struct Agents {
    resolver: resolver::Handle,
    known: Mutex<HashMap<Via, Agent>>,
}

impl Agents {
    pub(super) fn new(resolver: resolver::Handle) -> Self {
        Self {
            resolver,
            known: Mutex::default(),
        }
    }

    /// The agent for `via`.
    ///
    /// # Errors
    /// Its proxy or its authority cannot be used.
    pub(super) fn of(&self, via: &Via) -> Result<Agent, FetchError> {
        if let Some(agent) = self.known.lock().get(via) {
            return Ok(agent.clone());
        }
        let agent = make(&self.resolver, via)?;
        let mut known = self.known.lock();
        // Another thread was quicker: two agents of one way would not share their connections.
        if let Some(first) = known.get(via) {
            return Ok(first.clone());
        }
        // Ways that are not taken any more, after many reloads; those in use are soon here again.
        if known.len() >= limits::FETCH_WAYS {
            known.clear();
        }
        known.insert(via.clone(), agent.clone());
        Ok(agent)
    }
}

fn make(resolver: &resolver::Handle, via: &Via) -> Result<Agent, FetchError> {
    let max = Some(limits::ATTEMPT_MAX);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy(via)?)
        .max_response_header_size(limits::RESPONSE_HEADERS_MAX)
        .input_buffer_size(limits::FETCH_BUFFER)
        .output_buffer_size(limits::FETCH_BUFFER)
        .max_idle_connections(limits::FETCH_IDLE_MAX)
        .max_idle_connections_per_host(limits::FETCH_IDLE_PER_HOST)
        .max_idle_age(limits::FETCH_IDLE_AGE)
        // These name the phase in which an exchange ran out of time. The transport holds every wait to
        // the exchange's own deadline, and connecting to less.
        .timeout_connect(Some(limits::CONNECT_MAX))
        .timeout_send_request(max)
        .timeout_send_body(max)
        .timeout_recv_response(max)
        .timeout_recv_body(max)
        .tls_config(tls(via.authority.as_ref())?)
        .build();
    let connector = ConnectProxyConnector::default()
        .chain(transport::Dial)
        .chain(RustlsConnector::default());
    Ok(Agent::with_parts(config, connector, resolver.clone()))
}

/// `None` is said, too: ureq would take one from the environment.
fn proxy(via: &Via) -> Result<Option<ureq::Proxy>, FetchError> {
    let Some(address) = &via.proxy else {
        return Ok(None);
    };
    // The error holds the address.
    let proxy = ureq::Proxy::new(address.expose()).map_err(|_| FetchError::BadProxy)?;
    Ok(Some(proxy))
}

fn tls(authority: Option<&Authority>) -> Result<TlsConfig, FetchError> {
    let Some(authority) = authority else {
        return Ok(TlsConfig::builder().build());
    };
    let certificates: Vec<Certificate<'static>> = parse_pem(authority.pem().as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(FetchError::BadAuthority);
    }
    let roots = RootCerts::Specific(Arc::new(certificates));
    Ok(TlsConfig::builder().root_certs(roots).build())
}
