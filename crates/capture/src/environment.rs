//! The environment and the command line of a run as an artifact keeps them: without secrets.
//!
//! An artifact is mailed around, so a variable is left out when its name says that it is a secret, or its value looks
//! like one. When in doubt it goes: a missing variable is a nuisance, a published key a disaster.

mod line;
mod secrets;
mod value;

use std::collections::BTreeMap;

pub use line::{command_line, secrets_of_line};
pub use secrets::{Secret, secrets};

/// What stands in place of a secret in a command line.
pub const REMOVED: &str = "<removed>";
/// What stands in place of each byte of a secret in a file whose parts must keep their places.
pub const MASK: u8 = b'x';
/// Letters that the name of a machine has at least before it is looked for in values.
const SHORTEST_HOST: usize = 4;
/// Bytes of a value that are kept: exported shell functions and lists of colours fill pages and tell nothing.
const LONGEST: usize = 4096;

/// The variables that may be kept, and the names of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Variables with their values.
    pub variables: BTreeMap<String, String>,
    /// Names of the variables that were left out, sorted.
    pub removed: Vec<String>,
}

/// Splits variables into those that may be kept and those that may not.
pub fn keep(variables: impl IntoIterator<Item = (String, String)>) -> Kept {
    let mut kept = Kept::default();
    for (name, value) in variables {
        if is_secret(&name, &value) {
            kept.removed.push(name);
        } else {
            let end = (0..=value.len().min(LONGEST)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or_default();
            kept.variables.insert(name, value[..end].to_owned());
        }
    }
    kept.removed.sort();
    kept
}

/// The environment of this process, split likewise; a value with this machine's name in it goes, too.
pub fn of_this_process() -> Kept {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut kept = keep(
        std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())),
    );
    remove_naming(&mut kept, host.trim());
    kept
}

/// Removes the variables whose value has that word in it: launchers put the machine's name into paths and addresses. A
/// name of a few letters could be any word.
fn remove_naming(kept: &mut Kept, host: &str) {
    let short = host.split('.').next().filter(|short| short.len() >= SHORTEST_HOST);
    let Some(short) = short else { return };
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let (gone, variables) = std::mem::take(&mut kept.variables)
        .into_iter()
        .partition(|(_, value)| value.split(|letter| !is_part(letter)).any(|word| word == short));
    let gone: BTreeMap<String, String> = gone;
    kept.variables = variables;
    kept.removed.extend(gone.into_keys());
    kept.removed.sort();
}

/// As [`is_secret_name`] for a flag or an assignment: a session in a command line is that of a tool (`--session-new=a`).
fn is_secret_flag(name: &str, value: &str) -> bool {
    let rest: Vec<String> = words(name).into_iter().filter(|word| word != "SESSION").collect();
    is_secret_name(&rest.join("_"), value)
}

/// Whether a word can be the name of a variable or of a flag.
fn is_name(word: &str) -> bool {
    let plain = word.trim_start_matches('-');
    !plain.is_empty() && plain.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'))
}

/// Whether a variable may not be kept.
fn is_secret(name: &str, value: &str) -> bool {
    !value.is_empty() && (is_secret_name(name, value) || value::is_secret(name, value))
}

/// Words of a name that say that the value is a secret.
static WORDS: &[&str] = &[
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "KEY",
    "KEYS",
    "CREDENTIAL",
    "CREDENTIALS",
    "CRED",
    "CREDS",
    "AUTH",
    "AUTHS",
    "OAUTH",
    "OAUTH2",
    "AUTHORIZATION",
    "XAUTHORITY",
    "COOKIE",
    "COOKIES",
    "SESSION",
    "SESSIONID",
    "PAT",
    "PRIVATE",
    "BEARER",
    "JWT",
    "SIGNATURE",
    "DSN",
    "OTP",
    "TOKENS",
];
/// Ends of words that say so, as in `GITHUBTOKEN` and `apikey`.
static ENDS: &[&str] = &["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL", "CREDENTIALS", "COOKIE"];
/// Words with such an end that are none.
static INNOCENT: &[&str] = &["MONKEY", "TURKEY", "HOTKEY", "DONKEY", "HOCKEY", "JOCKEY", "WHISKEY"];
/// Names that tell a machine or a person, which do not belong into an artifact.
static PLACES: &[&str] = &[
    "CONTAINER_NAME",
    "HOST",
    "HOSTNAME",
    "LOGNAME",
    "MAIL",
    "MASTER_ADDR",
    "SLURMD_NODENAME",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_USER",
    "SLURM_LAUNCH_NODE_IPADDR",
    "SLURM_NODELIST",
    "SLURM_SRUN_COMM_HOST",
    "SLURM_STEP_NODELIST",
    "SLURM_SUBMIT_HOST",
    "SLURM_TOPOLOGY_ADDR",
    "SUDO_USER",
    "USER",
    "USERNAME",
];
/// Variables with which launchers connect their processes: beginnings of their names, and words in them. They hold names and
/// addresses of machines, and the whole command line (seen of Open MPI 4.1.4 with PMIx 4.2.2).
static WIRING: &[&str] = &["OMPI_", "PMIX_", "PRTE_", "PMI_", "HYDRA_", "HYDI_", "MPIR_", "I_MPI_"];
static WIRES: &[&str] = &["ARGV", "HOSTNAME", "HOSTS", "LOCATION", "PATH", "PORT", "TMPDIR", "TRANSPORTS", "URI"];
/// Beginnings of names whose variables all go: credentials of services, and where a user came from.
static BEGINNINGS: &[&str] = &["AWS_", "SSH_", "VAULT_", "GPG_"];
/// Names, or their ends, that hold addresses with credentials.
static ADDRESSES: &[&str] = &["DATABASE_URL", "CONNECTION_STRING", "CONN_STR", "NETRC", "PGPASSFILE"];

fn is_secret_name(name: &str, value: &str) -> bool {
    let words = words(name);
    let whole = words.join("_");
    if is_place(&words, &whole) || BEGINNINGS.iter().any(|begin| whole.starts_with(begin)) {
        return true;
    }
    ADDRESSES.iter().any(|end| whole.ends_with(end)) || has_secret_word(&words, value)
}

/// As [`is_secret_name`] for what lets somebody in: neither a place, nor a person, nor a session of a desktop.
fn is_key_name(name: &str, value: &str) -> bool {
    let mut words = words(name);
    let whole = words.join("_");
    words.retain(|word| !["SESSION", "XAUTHORITY"].contains(&word.as_str()));
    !is_place(&words, &whole) && (ADDRESSES.iter().any(|end| whole.ends_with(end)) || has_secret_word(&words, value))
}

fn is_place(words: &[String], whole: &str) -> bool {
    let wired = WIRING.iter().any(|begin| whole.starts_with(begin));
    // `URI2` and `URI21` are the same for other versions.
    let wire = |word: &String| WIRES.contains(&word.trim_end_matches(|letter: char| letter.is_ascii_digit()));
    PLACES.contains(&whole) || (wired && words.iter().any(wire))
}

fn has_secret_word(words: &[String], value: &str) -> bool {
    words.iter().any(|word| match word.as_str() {
        // `MAX_TOKENS=4096` counts them, `CACHE_KEYS=true` does not hold one.
        "TOKENS" | "KEYS" if is_setting(value) => false,
        // `PWD` and `OLDPWD` are folders, `MYSQL_PWD` is none.
        "PWD" => words.len() > 1,
        word if INNOCENT.contains(&word) => false,
        word => WORDS.contains(&word) || ENDS.iter().any(|end| word.ends_with(end)),
    })
}

/// Whether a value is a number or a switch.
fn is_setting(value: &str) -> bool {
    value.parse::<f64>().is_ok()
        || ["true", "false", "on", "off", "yes", "no"].iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// The words of a name in capitals: `apiKey`, `api-key` and `API_KEY` are all `API`, `KEY`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        let begins = lower && letter.is_ascii_uppercase();
        lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if begins || !letter.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_ascii_alphanumeric()) {
            word.push(letter.to_ascii_uppercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
#[path = "environment/tests.rs"]
mod tests;
