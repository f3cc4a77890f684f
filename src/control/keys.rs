//! Requests about the terminal of a program: keys pressed there, and its size. Pure.

use super::http::Request;
use super::response::Problem;
use super::routes::{Route, patterns};
use crate::limits;
use crate::model::command::Poke;

/// The body is what the keys give, byte by byte.
pub(super) fn keys(name: &str, request: &Request) -> Result<Route, Problem> {
    let keys = &request.body;
    if keys.is_empty() || keys.len() > limits::KEYS_BYTES {
        let most = limits::KEYS_BYTES;
        let detail = format!("send keys of at least one byte and {most} at the most");
        return Err(Problem::new(400, detail));
    }
    Ok(Route::Poke {
        poke: Poke::Keys(keys.clone()),
        patterns: patterns(name, request),
    })
}

/// `?rows=24&columns=80`.
pub(super) fn window(name: &str, request: &Request) -> Result<Route, Problem> {
    let side = |side: &str| {
        let found = request.param(side).and_then(|text| text.parse().ok());
        let found = found.filter(|n| (1..=limits::TERMINAL_SIDE_MAX).contains(n));
        found.ok_or_else(|| {
            let most = limits::TERMINAL_SIDE_MAX;
            Problem::new(400, format!("{side} must be a number from 1 to {most}"))
        })
    };
    Ok(Route::Poke {
        poke: Poke::Window {
            rows: side("rows")?,
            columns: side("columns")?,
        },
        patterns: patterns(name, request),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_any_bytes_but_not_none_and_not_too_many() {
        let press = |body: &[u8]| {
            let request = Request {
                body: body.to_vec(),
                ..Request::default()
            };
            keys("web", &request).map_err(|problem| problem.status)
        };
        for body in [&b"\x03"[..], b"\xff\0\n", &[b'x'; limits::KEYS_BYTES]] {
            let poke = Poke::Keys(body.to_vec());
            let patterns = vec!["web".to_owned()];
            assert_eq!(press(body), Ok(Route::Poke { poke, patterns }));
        }
        assert_eq!(press(b""), Err(400));
        assert_eq!(press(&[b'x'; limits::KEYS_BYTES + 1]), Err(400));
    }

    #[test]
    fn a_window_has_two_sides_that_are_bounded() {
        let size = |rows: &str, columns: &str| {
            let query = [("rows", rows), ("columns", columns)];
            let request = Request {
                query: query.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
                ..Request::default()
            };
            window("web", &request).map_err(|problem| problem.status)
        };
        let most = limits::TERMINAL_SIDE_MAX;
        let poke = Poke::Window {
            rows: 1,
            columns: most,
        };
        let patterns = vec!["web".to_owned()];
        let asked = size("1", &most.to_string());
        assert_eq!(asked, Ok(Route::Poke { poke, patterns }));
        for bad in ["0", "", "-1", "4097", "70000", "x"] {
            assert_eq!(size(bad, "80"), Err(400), "{bad}");
            assert_eq!(size("24", bad), Err(400), "{bad}");
        }
        assert!(window("web", &Request::default()).is_err());
    }
}
