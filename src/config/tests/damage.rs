//! Files torn apart, and secrets in the wrong places.

use super::Place;
use super::examples::{example_place, uncommented};
use crate::config::example;

/// Loads what is left of a torn file; whatever comes out must hold no secret.
fn survives(place: &Place, bytes: &[u8]) {
    place.write("j.toml", bytes);
    if let Err(faults) = place.load() {
        let text = faults.to_string();
        assert!(!text.contains("S3CRET"), "{text}");
        assert!(
            !text.contains("Error {") && !text.contains("TOML parse error"),
            "{text}"
        );
    }
}

#[test]
fn a_torn_or_damaged_file_is_answered_with_faults_and_never_with_a_panic_or_a_secret() {
    let text = uncommented(&example())
        .replace(
            "${DISCORD_WEBHOOK_URL}",
            "https://discord.com/api/webhooks/1/S3CRETe",
        )
        .replace("${WEBHOOK_TOKEN}", "S3CRETf")
        .replace("${TELEGRAM_TOKEN}", "123:S3CRETg")
        .replace("8080", "S3CRETh");
    // Remarks only make it slower.
    let text: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    let text = text.join("\n");
    let place = example_place("");
    survives(&place, text.as_bytes());
    // A table at a time: the whole file for each of its bytes would be the square of all keys there will ever be.
    for table in text.split("\n[") {
        let table = format!("[{}", table.trim_start_matches('['));
        tear(&place, table.as_bytes());
    }
}

fn tear(place: &Place, bytes: &[u8]) {
    for end in 0..=bytes.len() {
        survives(place, &bytes[..end]);
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        let strange = [b'"', b'[', b'=', b'{', b'\n', b'.', 0xff, b'$'];
        damaged[at] = if at % 2 == 0 {
            strange[at / 2 % strange.len()]
        } else {
            bytes[at] ^ 1
        };
        survives(place, &damaged);
    }
}

#[test]
fn a_large_file_of_nonsense_is_answered_with_faults() {
    let place = Place::new(&[]);
    for nonsense in [
        "a\n",
        "a = [\n",
        "[[a]]\n",
        "a = x\n",
        "[program.a]\n",
        "\"\"\"\n",
    ] {
        place.write(
            "j.toml",
            nonsense.repeat((1 << 18) / nonsense.len()).as_bytes(),
        );
        let faults = place.faults();
        assert!(faults.len() <= 501, "{nonsense}: {} faults", faults.len());
    }
}

#[test]
fn no_wrong_secret_is_ever_repeated() {
    let secret = "hunter2";
    for keys in [
        "kind = \"discord\"\nurl = \"hunter2\"",
        "kind = \"discord\"\nurl = \"https://hunter2:hunter2@h/\"",
        "kind = \"discord\"\nurl = \"https://h/hunter2 x\"",
        "kind = \"discord\"\nurl = hunter2",
        "kind = \"discord\"\nurl = \"https://h/hunter2",
        "kind = \"discord\"\nurl = [\"hunter2\"]",
        "kind = \"discord\"\nulr = \"https://h/hunter2\"",
        "kind = \"https://h/hunter2\"",
        "kind = \"discord\"\nurl = \"${V}\"",
        "kind = \"discord\"\nurl = { file = \"secret\" }",
        "kind = \"webhook\"\nurl = \"https://h\"\nsecret = \"hunter2\"",
        "kind = \"webhook\"\nurl = \"https://h\"\nsecret = [\"whsec_hunter2\", 1]",
        "kind = \"webhook\"\nurl = \"https://h\"\nheaders = { A = \"hunter2\\n\" }",
        "kind = \"webhook\"\nurl = \"https://h\"\nheaders = { Host = \"hunter2\" }",
        "kind = \"webhook\"\nurl = \"https://h\"\nheaders = \"hunter2\"",
        "kind = \"telegram\"\nchat_id = 1\ntoken = \"hunter2\"",
        "kind = \"telegram\"\nchat_id = \"${V}\"\ntoken = \"1:x\"",
        "kind = \"slack\"\ntoken = \"hunter2\"",
    ] {
        let text = format!("[target.t]\n{keys}\n");
        let place = Place::new(&[("j.toml", &text), ("secret", "hunter2")]).with(&[("V", secret)]);
        let faults = place.faults().join("\n");
        assert!(!faults.contains(secret), "{text}: {faults}");
    }
}
