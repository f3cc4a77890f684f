//! Who listens on a port: the kernel's tables of sockets, and the processes that hold them. Formats as in
//! `proc_net_tcp(5)` and `proc_pid_fd(5)`. It decides nothing about what it finds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::read_stat;
use crate::clock::{self, Mono};
use crate::limits;

/// A socket that keeps others from a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The port.
    pub port: u16,
    /// Its number among the kernel's sockets; 0 when no process has it any more.
    pub inode: u64,
    /// Whose it is.
    pub uid: u32,
    /// It takes connections or datagrams. Otherwise it is the rest of a connection.
    pub is_listening: bool,
}

/// A process with a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its short name, as it is: any bytes.
    pub name: Vec<u8>,
}

/// What a search for holders found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// Of processes that share the socket the one that the others come from.
    pub first: Option<Holder>,
    /// Processes could not be looked into.
    pub is_denied: bool,
    /// There were more than may be looked at.
    pub is_cut: bool,
}

const LISTEN: &str = "0A";
const UDP_OPEN: &str = "07";

/// The sockets on any of `ports`, TCP and UDP, of this network namespace.
///
/// # Errors
/// The tables cannot be read.
pub fn bound(ports: &[u16]) -> io::Result<Vec<Bound>> {
    let mut found = Vec::new();
    for (table, open) in [
        ("tcp", LISTEN),
        ("tcp6", LISTEN),
        ("udp", UDP_OPEN),
        ("udp6", UDP_OPEN),
    ] {
        match File::open(Path::new("/proc/net").join(table)) {
            Ok(file) => read_table(file, open, ports, &mut found)?,
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn read_table(file: File, open: &str, ports: &[u16], found: &mut Vec<Bound>) -> io::Result<()> {
    // Listening sockets come first in the table, so a bound on what is read costs only rests of connections.
    let lines = BufReader::new(file.take(limits::PORT_TABLE_BYTES)).lines();
    for line in lines {
        let bound = parse(&line?, open).filter(|bound| ports.contains(&bound.port));
        found.extend(bound.filter(|b| b.is_listening || found.len() < limits::PORT_SOCKETS));
    }
    Ok(())
}

/// A line of the table: `sl local remote st queues tr:when retr uid timeout inode …`.
fn parse(line: &str, open: &str) -> Option<Bound> {
    let mut words = line.split_ascii_whitespace();
    let local = words.nth(1)?;
    let state = words.nth(1)?;
    let uid = words.nth(3)?;
    let inode = words.nth(1)?;
    Some(Bound {
        port: u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?,
        inode: inode.parse().ok()?,
        uid: uid.parse().ok()?,
        is_listening: state == open,
    })
}

/// Looks for the processes that have one of the sockets `inodes`, until it is `until`.
#[must_use]
pub fn holders(inodes: &[u64], until: Mono) -> Holders {
    let mut search = Search {
        wanted: inodes.iter().map(|i| format!("socket:[{i}]")).collect(),
        until,
        links: 0,
        found: BTreeMap::new(),
        result: Holders::default(),
    };
    match std::fs::read_dir("/proc") {
        Ok(entries) => {
            let pids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
            for pid in pids {
                if !search.look_into(pid) {
                    search.result.is_cut = true;
                    break;
                }
            }
        }
        Err(_) => search.result.is_denied = true,
    }
    search.finish()
}

struct Search {
    wanted: Vec<String>,
    until: Mono,
    links: usize,
    /// Holders and their parents.
    found: BTreeMap<u32, u32>,
    result: Holders,
}

impl Search {
    /// False when enough was looked at.
    fn look_into(&mut self, pid: u32) -> bool {
        let folder = format!("/proc/{pid}/fd");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.result.is_denied |= error.kind() == io::ErrorKind::PermissionDenied;
                return true;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            self.links += 1;
            if self.links > limits::PORT_LINKS || self.found.len() == limits::PORT_HOLDERS {
                return false;
            }
            let Ok(target) = std::fs::read_link(entry.path()) else {
                continue;
            };
            if self
                .wanted
                .iter()
                .any(|wanted| target.as_os_str() == wanted.as_str())
            {
                let parent = read_stat(pid).ok().flatten().map_or(0, |stat| stat.ppid);
                self.found.insert(pid, parent);
                break;
            }
        }
        clock::mono() < self.until
    }

    fn finish(mut self) -> Holders {
        let is_first = |(_, parent): &(&u32, &u32)| !self.found.contains_key(*parent);
        let first = self.found.iter().find(is_first).map(|(pid, _)| *pid);
        self.result.first = first.map(|pid| Holder {
            pid,
            name: name(pid),
        });
        self.result
    }
}

fn name(pid: u32) -> Vec<u8> {
    let mut name = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{pid}/comm")) {
        // What is there up to a fault is better than nothing.
        let _ = file.take(limits::PROC_TEXT_BYTES).read_to_end(&mut name);
    }
    name.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_read_by_its_columns_and_nonsense_is_none() {
        let line = "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A \
                    00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0";
        let wanted = Bound {
            port: 8080,
            inode: 31337,
            uid: 1000,
            is_listening: true,
        };
        assert_eq!(parse(line, LISTEN), Some(wanted));
        assert_eq!(parse(line, UDP_OPEN).map(|b| b.is_listening), Some(false));
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        for bad in ["", head, &line[..60], "1: 0:GG 0 0A 0 0 0 1 0 2"] {
            assert_eq!(parse(bad, LISTEN), None, "{bad}");
        }
    }

    #[test]
    fn our_own_listener_is_found_with_its_holder() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"));
        let udp = udp.expect("a free port");
        let ports = [
            tcp.local_addr().expect("bound").port(),
            udp.local_addr().expect("bound").port(),
        ];
        let found = bound(&ports).expect("readable");
        for port in ports {
            let of_it: Vec<&Bound> = found
                .iter()
                .filter(|b| b.port == port && b.is_listening)
                .collect();
            assert!(!of_it.is_empty(), "{port}: {found:?}");
            let inodes: Vec<u64> = of_it.iter().map(|b| b.inode).collect();
            let holders = holders(&inodes, clock::mono() + Duration::from_secs(20));
            let first = holders.first.expect("it is us");
            assert_eq!(first.pid, std::process::id());
            assert!(!first.name.is_empty());
        }
    }

    #[test]
    fn what_nobody_holds_has_no_holder_and_a_search_ends_in_time() {
        let later = clock::mono() + Duration::from_secs(20);
        assert_eq!(holders(&[u64::MAX], later).first, None);
        let cut = holders(&[u64::MAX], Mono::default());
        assert!(cut.is_cut, "{cut:?}");
    }
}
