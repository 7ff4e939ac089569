//! Command lines without secrets: flags and assignments, headers, logins, JSON, and scripts handed to a shell.

use super::{REMOVED, Secret, is_name, is_secret_flag, value};

/// Flags whose value is `user:password` (curl, wget, many clients of HTTP).
static LOGINS: &[&str] = &["-u", "-U", "--user", "--proxy-user", "--login", "--basic-auth"];
/// Flags whose value is a header.
static HEADERS: &[&str] = &["-H", "--header", "--headers", "--proxy-header", "--metadata"];

/// A command line with [`REMOVED`] in place of secrets: the values of `--api-key VALUE`, `--token=VALUE` and
/// `TOKEN=VALUE`, of headers (`Authorization: VALUE`) and of keys in JSON, passwords behind `-u user:`, the same inside a
/// script that is one word, and whatever looks like a secret by itself.
pub fn command_line(words: &[String]) -> Vec<String> {
    let mut flag: Option<&str> = None;
    let mut kept = Vec::with_capacity(words.len());
    for word in words {
        kept.push(value_of(flag.take(), word));
        flag = Some(word.as_str()).filter(|word| word.starts_with('-') && is_name(word));
    }
    kept
}

/// What [`command_line`] takes out, as far as it can be looked for by itself: not what is short, or a plain word.
pub fn secrets_of_line(words: &[String]) -> Vec<Secret> {
    let mut found = Vec::new();
    for (word, kept) in words.iter().zip(command_line(words)).filter(|(word, kept)| *word != kept) {
        let stays: Vec<&str> = pieces(&kept).collect();
        let gone = pieces(word).filter(|piece| !stays.contains(piece) && is_telling(piece));
        found.extend(gone.map(|piece| Secret {
            name: "the command line".to_owned(),
            value: piece.to_owned(),
            anywhere: true,
        }));
    }
    found
}

fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let between = |letter: char| letter.is_whitespace() || "\"'=:;,{}[]".contains(letter);
    word.split(between).filter(|piece| !piece.is_empty())
}

fn is_telling(piece: &str) -> bool {
    let has = |inside: fn(&u8) -> bool| piece.as_bytes().iter().any(inside);
    piece.len() >= 12 || (piece.len() >= 6 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic))
}

/// What is left of a word that stands behind `flag`.
fn value_of(flag: Option<&str>, word: &str) -> String {
    let plain = !word.starts_with('-');
    let script = flag.is_some_and(|flag| !flag.starts_with("--") && flag.ends_with('c'));
    if plain && flag.is_some_and(|flag| is_secret_flag(flag, word)) {
        return REMOVED.to_owned();
    }
    if plain && flag.is_some_and(|flag| LOGINS.contains(&flag)) {
        return without_password(word).unwrap_or_else(|| word.to_owned());
    }
    if let Some(kept) = header(word, flag.is_some_and(|flag| HEADERS.contains(&flag))).or_else(|| json(word)) {
        return kept;
    }
    if let Some(kept) = assignment(word).filter(|_| !script) {
        return kept;
    }
    let kept = if word.contains(char::is_whitespace) { of_script(word) } else { word.to_owned() };
    // What has been taken out says nothing about the rest.
    let secret = value::is_secret("", &kept.replace(REMOVED, ""));
    if secret { REMOVED.to_owned() } else { attached_login(&kept).unwrap_or(kept) }
}

/// `NAME=<removed>` of an assignment, or of a flag with its value, that holds a secret.
fn assignment(word: &str) -> Option<String> {
    let (name, value) = word.split_once('=').filter(|(name, value)| is_name(name) && !value.is_empty())?;
    if LOGINS.contains(&name) {
        return without_password(value).map(|kept| format!("{name}={kept}"));
    }
    if HEADERS.contains(&name) {
        return header(value, true).map(|kept| format!("{name}={kept}"));
    }
    let secret = is_secret_flag(name, value) || value::is_secret(name, value);
    secret.then(|| format!("{name}={REMOVED}")).or_else(|| json(value).map(|kept| format!("{name}={kept}")))
}

/// `user:<removed>`; numbers are those of a user and a group (`docker run -u 1000:1000`).
fn without_password(word: &str) -> Option<String> {
    let (user, password) = word.split_once(':').filter(|(_, password)| !password.is_empty())?;
    let numbers = [user, password].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    (!numbers).then(|| format!("{user}:{REMOVED}"))
}

/// The same for `-uuser:password`.
fn attached_login(word: &str) -> Option<String> {
    let login = word.strip_prefix("-u").filter(|rest| !rest.starts_with('=') && !rest.contains(['/', ' ']))?;
    without_password(login).map(|kept| format!("-u{kept}"))
}

/// `Name: <removed>` of a header that holds a secret. Without a flag before it, a space stands behind the colon: what
/// has none may be the name and the tag of an image.
fn header(word: &str, flagged: bool) -> Option<String> {
    let (name, value) = word.split_once(':')?;
    let is_header = is_name(name) && !value.trim().is_empty() && (flagged || value.starts_with(char::is_whitespace));
    (is_header && is_secret_flag(name, value.trim())).then(|| format!("{name}: {REMOVED}"))
}

/// A JSON object without the values of its secret keys; none where it is none, or holds no secret.
fn json(word: &str) -> Option<String> {
    let mut found = word.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(word).ok())??;
    clean_json(&mut found).then(|| found.to_string())
}

fn clean_json(json: &mut serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    match json {
        Object(members) => members.iter_mut().fold(false, |changed, (name, value)| match value {
            String(text) if !text.is_empty() && (is_secret_flag(name, text) || value::is_secret(name, text)) => {
                REMOVED.clone_into(text);
                true
            }
            value => clean_json(value) || changed,
        }),
        // Each of them: the first that changes is not the last.
        Array(values) => values.iter_mut().map(clean_json).filter(|changed| *changed).count() > 0,
        _ => false,
    }
}

/// A script: each of its words, as far as blanks and quotes tell them apart.
fn of_script(text: &str) -> String {
    let (mut kept, mut flag, mut inside): (String, Option<&str>, Option<char>) = (String::new(), None, None);
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        let blank = &part[word.len()..];
        if let Some(quote) = inside {
            // Within a secret that goes on until its quote closes.
            if word.ends_with(quote) {
                inside = None;
                kept.push_str(blank);
            }
            continue;
        }
        let bare = word.trim_matches(['"', '\'', ';']);
        let named = bare.strip_suffix(':').filter(|name| is_name(name) && is_secret_flag(name, "-"));
        if let Some(name) = named {
            kept.extend([name, ": ", REMOVED]);
            match word.chars().next().filter(|letter| matches!(letter, '"' | '\'')) {
                Some(quote) => inside = Some(quote),
                // Nothing tells where the value ends.
                None => return kept,
            }
            continue;
        }
        let cleaned = value_of(flag.take(), bare);
        flag = Some(bare).filter(|word| word.starts_with('-') && is_name(word));
        if cleaned == bare {
            kept.push_str(word);
        } else {
            inside = opened(word);
            kept.push_str(&cleaned);
        }
        if inside.is_none() {
            kept.push_str(blank);
        }
    }
    kept
}

/// The quote that a word opens and does not close.
fn opened(word: &str) -> Option<char> {
    ['"', '\''].into_iter().find(|quote| word.matches(*quote).count() % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(words: &[&str]) -> String {
        command_line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).join("|")
    }

    #[test]
    fn passwords_behind_a_user_go_and_the_user_stays() {
        assert_eq!(kept(&["curl", "-u", "alice:hunter2", "host"]), "curl|-u|alice:<removed>|host");
        assert_eq!(kept(&["curl", "--user=alice:hunter2"]), "curl|--user=alice:<removed>");
        assert_eq!(kept(&["curl", "-ualice:hunter2"]), "curl|-ualice:<removed>");
        assert_eq!(kept(&["redis-cli", "alice:hunter2@cache.example:6379"]), "redis-cli|<removed>");
        assert_eq!(kept(&["get", "--server=alice:hunter2@host"]), "get|--server=<removed>");
    }

    #[test]
    fn headers_lose_the_value_of_a_secret() {
        assert_eq!(kept(&["curl", "-H", "x-api-key: abc"]), "curl|-H|x-api-key: <removed>");
        assert_eq!(kept(&["curl", "-H", "x-api-key:abc"]), "curl|-H|x-api-key: <removed>");
        assert_eq!(kept(&["curl", "--header", "Authorization: Basic YTpi"]), "curl|--header|Authorization: <removed>");
        assert_eq!(kept(&["curl", "--header=Cookie: a=b"]), "curl|--header=Cookie: <removed>");
        assert_eq!(kept(&["x", "Proxy-Authorization: abc"]), "x|Proxy-Authorization: <removed>");
    }

    #[test]
    fn what_was_taken_out_can_be_looked_for() {
        let words = ["curl", "-u", "alice:hunter2", "-H", "Authorization: Bearer abcdef123456", "--token", "abc"];
        let found = secrets_of_line(&words.map(str::to_owned));
        let values: Vec<&str> = found.iter().map(|secret| secret.value.as_str()).collect();
        assert_eq!(values, ["hunter2", "abcdef123456"]);
    }

    #[test]
    fn json_loses_the_values_of_secret_keys() {
        let line = kept(&["serve", "--kwargs", r#"{"hf_token":"abc","max_model_len":4096,"more":[{"apiKey":"x"}]}"#]);
        assert!(!line.contains("abc") && !line.contains("\"x\"") && line.contains("4096"), "{line}");
    }

    #[test]
    fn a_script_is_cleaned_word_by_word() {
        let script = |text: &str| kept(&["sh", "-c", text]).replacen("sh|-c|", "", 1);
        assert_eq!(script("serve --api-key abc --port 8000"), "serve --api-key <removed> --port 8000");
        assert_eq!(script("export WANDB_KEY=abc; python a.py"), "export WANDB_KEY=<removed> python a.py");
        assert_eq!(script("HF_TOKEN=abc python a.py"), "HF_TOKEN=<removed> python a.py");
        assert_eq!(script("PASSPHRASE='a b c' run x"), "PASSPHRASE=<removed> run x");
        assert_eq!(script("curl -H 'Authorization: Bearer abc' host"), "curl -H Authorization: <removed> host");
        assert_eq!(script("curl -u alice:hunter2 host"), "curl -u alice:<removed> host");
    }

    #[test]
    fn plain_words_models_images_and_addresses_stay() {
        for line in [
            &["python", "-u", "train.py", "--rdzv-endpoint", "node:29400"][..],
            &["docker", "run", "-u", "1000:1000", "nvcr.io/nvidia/pytorch:25.06-py3"],
            &["docker", "run", "auth:latest", "pytorch:25.06@sha256:9f86d081884c7d65"],
            &["curl", "-H", "Content-Type: application/json", "http://host:8000/v1/models"],
            &["git", "clone", "git@code.example:org/repo", "https://code.example/org/repo"],
            &["vllm", "serve", "Qwen/Qwen3-235B-A22B", "--override", r#"{"max_tokens": 64, "dtype": "bfloat16"}"#],
            &["sh", "-c", "for i in 1 2; do echo \"step: $i\"; sleep 1; done"],
            &["bench", "--url", "http://host:8000", "--ratio", "1:2", "--time", "12:30:00"],
            &["uvicorn", "app:main", "--max-tokens", "64"],
        ] {
            assert_eq!(kept(line), line.join("|"));
        }
    }
}
