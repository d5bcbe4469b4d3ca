//! Broken variants of the example: whatever the text is, the answer is settings or problems.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rat_config::{Settings, dump};

use crate::support::{environment, example_uncommented};

const ROUNDS: u64 = 4000;

/// Pieces that mean something to YAML or to a setting.
const PIECES: &[&str] = &[
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "\\",
    "<<: ",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "null",
    "~",
    "true",
    "0",
    "-1",
    "1e400",
    ".inf",
    ".nan",
    "0x10",
    "99999999999999999999",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "é",
    "🐀",
    "s3://",
    "unix:",
    "plugins:\n",
    "server: ",
    "off",
    "1GiB",
    "30s",
    "@",
    "`",
];

fn mutated(text: &str, random: &mut StdRng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=chars.len());
        let until = (at + random.random_range(0..40)).min(chars.len());
        match random.random_range(0..5) {
            0 => drop(chars.drain(at..until)),
            1 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
            2 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                chars.splice(at..until, piece.chars());
            }
            3 => {
                let copy: Vec<char> = chars[at..until].to_vec();
                let to = random.random_range(0..=chars.len());
                chars.splice(to..to, copy);
            }
            _ if at < chars.len() => {
                let other = random.random_range(0..chars.len());
                chars.swap(at, other);
            }
            _ => chars.truncate(at),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn no_text_makes_the_loader_panic() {
    let example = example_uncommented();
    let mut accepted = 0;
    for seed in 0..ROUNDS {
        let mut random = StdRng::seed_from_u64(seed);
        let text = mutated(&example, &mut random);
        let variables = environment(&[("RAT_LISTEN", PIECES[seed as usize % PIECES.len()])]);
        let variables = if seed % 3 == 0 {
            variables
        } else {
            Default::default()
        };
        let loaded =
            std::panic::catch_unwind(|| Settings::load(Some(("rat.yaml", &text)), &variables));
        match loaded {
            Ok(Ok(settings)) => {
                accepted += 1;
                let again = Settings::load(Some(("dumped", &dump(&settings))), &Default::default());
                assert!(again.is_ok(), "seed {seed}: {}", again.unwrap_err());
            }
            Ok(Err(problems)) => check(&problems.to_string(), seed),
            Err(_) => panic!("seed {seed} panics with:\n{text}"),
        }
    }
    assert!(
        accepted < ROUNDS / 2,
        "the mutations do nothing: {accepted} texts were accepted"
    );
}

/// Every problem says where it is, and none is one of ours.
fn check(problems: &str, seed: u64) {
    for line in problems.lines() {
        let placed = line.starts_with("rat.yaml:") || line.starts_with("environment RAT_");
        let placed = placed || line.starts_with("… and ");
        assert!(placed, "seed {seed}: {line}");
        assert!(
            !line.contains("parsers of YAML disagree"),
            "seed {seed}: {line}"
        );
        assert!(!line.contains("not recorded"), "seed {seed}: {line}");
        assert!(!line.chars().any(char::is_control), "seed {seed}: {line:?}");
    }
}
