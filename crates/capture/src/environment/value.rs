//! Values that look like secrets, whatever the variable is called.

/// Letters and digits that a secret of a known service has at least after its prefix.
const PREFIXED: usize = 16;
/// Letters and digits in one piece that look random.
const RANDOM: usize = 20;
/// Hexadecimal digits in one piece: 128 bits.
const HEX: usize = 32;

/// How the keys of well-known services begin (the services' own documents, and GitHub's list of secret scanning patterns).
static PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "pk_live_",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxs-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "hf_",
    "npm_",
    "pypi-",
    "dckr_pat_",
    "nvapi-",
    "dop_v1_",
    "SG.",
    "shpat_",
    "hvs.",
    "gsk_",
    "r8_",
    "tskey-",
];
/// What stands before a secret inside a longer value: parts of connection strings and of addresses.
static ASSIGNMENTS: &[&str] = &[
    "password=",
    "passwd=",
    "pwd=",
    "token=",
    "secret=",
    "apikey=",
    "api_key=",
    "api-key=",
    "accountkey=",
    "sharedaccesskey=",
    "signature=",
    "sig=",
    "bearer ",
    "basic ",
];
/// Words of names whose values are hashes of things that are public.
static HASHES: &[&str] =
    &["COMMIT", "SHA", "SHA1", "SHA256", "HASH", "DIGEST", "REVISION", "REF", "CHECKSUM", "UUID", "BUILD"];

/// Whether a value looks like a secret; the name only tells which hashes are public.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    value.contains("-----BEGIN")
        || has_prefixed(value)
        || is_jwt(value)
        || assigns(value)
        || value.split_whitespace().any(|word| has_login(word) || is_login(word))
        || (!is_paths(value) && looks_random(name, value))
}

fn has_prefixed(value: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        value.match_indices(prefix).any(|(at, _)| {
            let before = value[..at].chars().next_back();
            let rest = &value[at + prefix.len()..];
            let end = rest.find(|letter: char| !is_key_letter(letter)).unwrap_or(rest.len());
            let key = &rest[..end];
            !before.is_some_and(|letter| letter.is_ascii_alphanumeric())
                && key.len() >= PREFIXED
                && key.contains(|letter: char| letter.is_ascii_digit())
                // `sk-` and `SG.` also begin ordinary names, which are words.
                && longest(key, char::is_alphanumeric) >= PREFIXED / 2
        })
    })
}

fn is_key_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

/// `eyJ...`.`eyJ...`.`...`: base64 of JSON objects that begin with `{"` (RFC 7519).
fn is_jwt(value: &str) -> bool {
    value.match_indices("eyJ").any(|(at, _)| {
        let mut parts = value[at..].split('.');
        let (Some(header), Some(payload)) = (parts.next(), parts.next()) else { return false };
        header.len() >= 10 && header.chars().all(is_key_letter) && payload.starts_with("eyJ")
    })
}

fn assigns(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    ASSIGNMENTS.iter().any(|assignment| {
        lower.match_indices(assignment).any(|(at, _)| {
            let before = lower[..at].chars().next_back();
            let rest = lower[at + assignment.len()..].chars().take_while(|letter| !letter.is_whitespace()).count();
            // `basic ` and `bearer ` are also words of sentences.
            let enough = if assignment.ends_with(' ') { 16 } else { 1 };
            !before.is_some_and(|letter| letter.is_ascii_alphanumeric()) && rest >= enough
        })
    })
}

/// An address with a password, or with a user that is long enough to be a key: `scheme://user:password@host`.
fn has_login(word: &str) -> bool {
    word.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A password may hold an @ itself, so the last one counts; it may also hold a /, so the rest is looked at too.
        let login =
            authority.rsplit_once('@').or_else(|| rest.rsplit_once('@').filter(|(login, _)| login.contains(':')));
        login.is_some_and(|(login, _)| {
            login.split_once(':').map_or(login.len() >= PREFIXED, |(_, word)| !word.is_empty())
        })
    })
}

/// `user:password@host` without a scheme; `name:tag@sha256:...` is an image.
fn is_login(word: &str) -> bool {
    word.rsplit_once('@').is_some_and(|(login, host)| {
        let plain =
            !login.contains(['/', '\\', '=']) && host.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        let parts = login.split_once(':').filter(|(user, password)| !user.is_empty() && !password.is_empty());
        plain && parts.is_some() && !["sha256:", "sha512:"].iter().any(|digest| host.starts_with(digest))
    })
}

/// Whether a value is a list of paths: hashes in the names of folders (a package store) are public.
pub(super) fn is_paths(value: &str) -> bool {
    value.split([':', ';', ',']).all(|path| path.is_empty() || path.starts_with(['/', '~', '.']))
}

fn looks_random(name: &str, value: &str) -> bool {
    // `+` and `/` belong to base64, but `/` also stands between words.
    let base64 = value.contains('+') || value.ends_with('=');
    let inside = |letter: char| letter.is_ascii_alphanumeric() || (base64 && matches!(letter, '+' | '/'));
    let public = super::words(name).iter().any(|word| HASHES.contains(&word.as_str()));
    value.split(|letter| !inside(letter)).any(|piece| is_random(piece) || (!public && is_hex_key(piece)))
}

/// Letters of both cases and digits that change between these kinds as often as random ones do: 0.62 of the time for
/// base 62, where words joined in camel case stay below 0.45 and have few digits.
fn is_random(piece: &str) -> bool {
    let kinds: Vec<Letter> = piece.bytes().map(Letter::of).collect();
    let count = |wanted: Letter| kinds.iter().filter(|kind| **kind == wanted).count();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let letters_enough = count(Letter::Small) >= 2 && count(Letter::Capital) >= 2;
    // The symbols of base 64 count as digits: they stand in no ordinary word either.
    piece.len() >= RANDOM
        && count(Letter::Digit) + count(Letter::Symbol) >= 2
        && letters_enough
        && changes * 5 >= piece.len() * 2
}

/// Kinds of letters that change often in random text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    Digit,
    Small,
    Capital,
    Symbol,
}

impl Letter {
    fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::Digit,
            b'a'..=b'z' => Self::Small,
            b'A'..=b'Z' => Self::Capital,
            _ => Self::Symbol,
        }
    }
}

fn is_hex_key(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    piece.len() >= HEX && piece.bytes().all(|byte| byte.is_ascii_hexdigit()) && digits >= 6 && piece.len() - digits >= 4
}

fn longest(text: &str, inside: impl Fn(char) -> bool) -> usize {
    text.split(|letter| !inside(letter)).map(str::len).max().unwrap_or_default()
}
