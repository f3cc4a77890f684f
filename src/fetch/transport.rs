//! TCP connections with a hard deadline: every wait on the socket is what is left of the exchange, however
//! slowly the other side reads or writes. Never waits on anything else.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ureq::Timeout;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};

use super::error::FetchError;
use super::exchange;
use crate::clock::{self, Mono};
use crate::limits;

/// Opens connections, trying each address of the host.
#[derive(Debug)]
pub(super) struct Dial;

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Wire>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // A proxy has connected already.
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let stream = dial(&details.addrs).map_err(|e| ureq::Error::Other(Box::new(e)))?;
        exchange::opened();
        Ok(Some(Either::B(Wire {
            stream,
            buffers: LazyBuffers::new(limits::FETCH_BUFFER, limits::FETCH_BUFFER),
        })))
    }
}

pub(super) fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::Timeout(super::Phase::Connect);
    let budget = exchange::remaining().min(limits::CONNECT_MAX);
    let deadline = clock::mono() + budget;
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.since(clock::mono());
        if left.is_zero() {
            break;
        }
        // The last address gets all that is left, one before it half: a host that is dead over IPv6 must
        // not cost the time for IPv4.
        let share = if i + 1 == addresses.len() {
            left
        } else {
            left / 2
        };
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                last = FetchError::Timeout(super::Phase::Connect);
            }
            Err(e) => last = FetchError::Connect(e.kind()),
        }
    }
    Err(last)
}

/// One connection.
pub(super) struct Wire {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// When this wait ends: ureq's own phase or the exchange's deadline, whichever is first.
fn deadline(timeout: &NextTimeout) -> Mono {
    let left = exchange::remaining();
    let phase = if timeout.after.is_not_happening() {
        left
    } else {
        *timeout.after
    };
    clock::mono() + left.min(phase)
}

/// What is left until `deadline`, as a socket option takes it: never zero, which would mean for ever.
fn left(deadline: Mono, reason: Timeout) -> Result<Duration, ureq::Error> {
    let left = deadline.since(clock::mono());
    if left.is_zero() {
        return Err(ureq::Error::Timeout(reason));
    }
    Ok(left.max(Duration::from_micros(1)))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let deadline = deadline(&timeout);
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            // Set anew for every write: a peer that reads a few bytes now and then would otherwise grant
            // itself the whole time again each time.
            let left = left(deadline, timeout.reason)?;
            self.stream.set_write_timeout(Some(left))?;
            match self.stream.write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted || is_timeout(&e) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let deadline = deadline(&timeout);
        loop {
            let left = left(deadline, timeout.reason)?;
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(n) => {
                    if n > 0 {
                        exchange::answered();
                    }
                    self.buffers.input_appended(n);
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted || is_timeout(&e) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // Anything to read on an idle connection is its end, or an answer nobody asked for.
        let probe = || -> io::Result<bool> {
            self.stream.set_nonblocking(true)?;
            let seen = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            Ok(matches!(seen, Err(e) if e.kind() == io::ErrorKind::WouldBlock))
        };
        probe().unwrap_or(false)
    }
}
