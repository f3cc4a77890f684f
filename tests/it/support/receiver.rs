//! A webhook receiver on loopback that answers by script and remembers what it was sent.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::wait_for;

/// One request as received.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// As sent.
    pub body: String,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.body))
    }
}

/// How to answer a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This status, these extra headers, this body.
    Status(u16, Vec<(String, String)>, String),
    /// Take the request and never answer.
    Hang,
    /// Close without an answer.
    Close,
    /// Answer with one byte after the other, for ever.
    Trickle,
}

impl Reply {
    /// A plain status.
    pub fn status(code: u16) -> Self {
        Self::Status(code, vec![], String::new())
    }
}

type Script = Box<dyn FnMut(&Received) -> Reply + Send>;

/// The receiver. Dropping it closes its port.
pub struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that takes everything with 204.
    pub fn start() -> Self {
        Self::scripted(|_| Reply::status(204))
    }

    /// One that answers as `script` says.
    pub fn scripted(script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        Self::on_port(0, script)
    }

    /// One on a port of choice, 0 for any.
    pub fn on_port(port: u16, script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port on loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let (seen, ended) = (Arc::clone(&received), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (script, seen, ended) =
                    (Arc::clone(&script), Arc::clone(&seen), Arc::clone(&ended));
                std::thread::spawn(move || serve(&stream, &script, &seen, &ended));
            }
        });
        Self {
            port,
            received,
            stop,
            thread: Some(thread),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no test panics in it").clone()
    }

    /// The `type` of every JSON body so far, in order.
    pub fn types(&self) -> Vec<String> {
        self.received()
            .iter()
            .filter_map(|r| r.json()["type"].as_str().map(str::to_owned))
            .collect()
    }

    /// Waits until a request passes `is_it`, and returns it.
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Received) -> bool) -> Received {
        wait_for(what, || {
            let received = self.received();
            let bodies = || {
                received
                    .iter()
                    .map(|r| r.body.clone())
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            received
                .iter()
                .find(|r| is_it(r))
                .cloned()
                .ok_or_else(bodies)
        })
    }

    /// Waits for a webhook of this type about this instance.
    pub fn wait_type(&self, kind: &str, instance: &str) -> Received {
        self.wait_for(&format!("{kind} of {instance}"), |r| {
            let json = r.json();
            json["type"] == kind && json["data"]["instance"] == instance
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    stream: &TcpStream,
    script: &Mutex<Script>,
    seen: &Mutex<Vec<Received>>,
    ended: &AtomicBool,
) {
    let _ = stream.set_read_timeout(Some(Duration::from_mins(1)));
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let reply = script.lock().expect("scripts do not panic")(&request);
        seen.lock().expect("no test panics in it").push(request);
        let mut out = stream;
        match reply {
            Reply::Status(code, headers, body) => {
                let mut extra = String::new();
                for (name, value) in &headers {
                    extra.extend([name, ": ", value, "\r\n"]);
                }
                let head = format!(
                    "HTTP/1.1 {code} Scripted\r\nContent-Length: {}\r\n{extra}\r\n",
                    body.len()
                );
                if out
                    .write_all(head.as_bytes())
                    .and_then(|()| out.write_all(body.as_bytes()))
                    .is_err()
                {
                    return;
                }
            }
            Reply::Hang => {
                while !ended.load(Ordering::SeqCst)
                    && reader.fill_buf().is_ok_and(|b| !b.is_empty())
                {}
                return;
            }
            Reply::Close => return,
            Reply::Trickle => {
                let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
                while !ended.load(Ordering::SeqCst) && out.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
                return;
            }
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        method,
        path,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

impl Receiver {
    /// How many requests were received so far.
    pub fn count(&self) -> usize {
        self.received.lock().expect("no test panics in it").len()
    }
}
