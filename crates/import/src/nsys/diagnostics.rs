//! What nsys says about its own capture: warnings, errors, and losses become issues.

use super::export::{Export, at};
use crate::Error;
use crate::raw::{Import, Severity, Source};

const TABLE: &str = "DIAGNOSTIC_EVENT";
const WANTED: &[&str] = &["severity", "text"];
const SEVERITY: usize = at(WANTED, "severity");
const TEXT: usize = at(WANTED, "text");

/// Severities in `ENUM_DIAGNOSTIC_SEVERITY_LEVEL`.
const WARNING: i64 = 2;
const ERROR: i64 = 3;

/// Words of messages that tell of something that happened and was not recorded. Some are filed as information.
const LOSS_WORDS: &[&str] = &[
    "might be missing",
    "might have been",
    "may be missing",
    "were lost",
    "was lost",
    "dropped",
    "not all ",
    "incomplete",
    "buffer overflow",
    "out of memory",
    "truncated",
];
/// Words of messages that tell why CUDA's events are missing, the most telling first.
const REASONS: &[&str] = &["not supported", "permission", "failed", "CUDA events", "CUPTI", "CUDA", "driver"];
/// Most messages that an issue quotes, and most characters of each.
const MOST_MESSAGES: usize = 8;
const MOST_CHARACTERS: usize = 300;
/// Most different messages of one kind that are told apart.
const MOST_KEPT: usize = 1000;

/// The messages worth knowing, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    losses: Vec<String>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Diagnostics {
    pub(super) fn read(export: &dyn Export) -> Result<Self, Error> {
        let mut diagnostics = Self::default();
        export.scan(TABLE, WANTED, &mut |row| {
            if let Some(text) = row.text(TEXT) {
                diagnostics.add(row.int(SEVERITY).unwrap_or(0), &text);
            }
            Ok(())
        })?;
        Ok(diagnostics)
    }

    fn add(&mut self, severity: i64, text: &str) {
        let lower = text.to_lowercase();
        let list = match severity {
            _ if LOSS_WORDS.iter().any(|words| lower.contains(words)) => &mut self.losses,
            ERROR => &mut self.errors,
            WARNING => &mut self.warnings,
            _ => return,
        };
        let message: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let message: String = message.chars().take(MOST_CHARACTERS).collect();
        if list.len() < MOST_KEPT && !list.contains(&message) {
            list.push(message);
        }
    }

    pub(super) fn say_something(&self) -> bool {
        !(self.losses.is_empty() && self.errors.is_empty() && self.warnings.is_empty())
    }

    pub(super) fn write(&self, import: &mut Import<'_>) {
        let kinds = [
            (Severity::DataLoss, "nsys_data_loss", &self.losses),
            (Severity::Error, "nsys_error", &self.errors),
            (Severity::Info, "nsys_warning", &self.warnings),
        ];
        for (severity, code, messages) in kinds {
            import.issue(severity, code, messages.len() as u64, format!("nsys says: {}", quote(messages)));
        }
    }

    /// What is most likely to tell why kernels are missing, the likeliest first: an issue's detail may be shortened.
    fn why(&self) -> String {
        let mut all: Vec<String> =
            [&self.errors, &self.losses, &self.warnings].into_iter().flatten().cloned().collect();
        all.sort_by_key(|message| REASONS.iter().position(|words| message.contains(words)).unwrap_or(REASONS.len()));
        quote(&all)
    }
}

fn quote(messages: &[String]) -> String {
    let mut quoted: Vec<&str> = messages.iter().take(MOST_MESSAGES).map(String::as_str).collect();
    let more = format!("and {} more", messages.len().saturating_sub(MOST_MESSAGES));
    if messages.len() > MOST_MESSAGES {
        quoted.push(&more);
    }
    quoted.join(" | ")
}

/// Notes why a capture that holds other events holds no kernels.
pub(super) fn no_kernels(import: &mut Import<'_>, diagnostics: &Diagnostics, cuda_was_traced: bool) {
    let (severity, why) = match (diagnostics.say_something(), cuda_was_traced) {
        (true, true) => (Severity::DataLoss, format!("nsys says: {}", diagnostics.why())),
        (true, false) => (Severity::Info, format!("CUDA was not traced; nsys says: {}", diagnostics.why())),
        (false, true) => (Severity::Info, "CUDA was traced, and the program launched none".to_owned()),
        (false, false) => {
            (Severity::Info, "CUDA was not traced (hint: `nsys profile --trace=cuda,nvtx,osrt`)".to_owned())
        }
    };
    import.issue(severity, "no_kernels", 1, format!("the capture holds no kernel: {why}"));
}

/// A capture that holds no event at all, and says why.
pub(super) fn nothing(source: &Source, diagnostics: &Diagnostics) -> Error {
    Error::Unsupported {
        path: source.path().to_owned(),
        reason: "holds no kernels and no other events".to_owned(),
        hint: format!("capture again; nsys says: {}", diagnostics.why()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::texts;
    use proftool_trace::tables;

    fn capture(messages: &[(i64, &str)]) -> Fake {
        let mut fake = Fake::default();
        for (severity, text) in messages {
            fake.row("DIAGNOSTIC_EVENT", &[("severity", (*severity).into()), ("text", (*text).into())]);
        }
        fake
    }

    #[test]
    fn messages_become_issues_by_what_they_say() {
        let mut fake = capture(&[
            (1, "Profiling has started."),
            (1, "Some CUPTI events might be missing."),
            (2, "No OpenGL\n events collected."),
            (2, "No OpenGL events collected."),
            (3, "CUPTI failed."),
        ]);
        fake.row("CUPTI_ACTIVITY_KIND_RUNTIME", &[("start", 1.into()), ("end", 2.into())]);
        let tables = fake.import().unwrap();
        let issues = tables.get(&tables::ISSUES);
        let pairs: Vec<(String, String)> = texts(issues, "code")
            .unwrap()
            .into_iter()
            .flatten()
            .zip(texts(issues, "severity").unwrap().into_iter().flatten())
            .collect();
        for (code, severity) in [
            ("nsys_data_loss", "data_loss"),
            ("nsys_error", "error"),
            ("nsys_warning", "info"),
            ("no_kernels", "data_loss"),
        ] {
            assert!(pairs.contains(&(code.to_owned(), severity.to_owned())), "{code} in {pairs:?}");
        }
        let details = texts(issues, "detail").unwrap().into_iter().flatten().collect::<Vec<_>>();
        assert!(details.contains(&"nsys says: No OpenGL events collected.".to_owned()), "{details:?}");
    }

    #[test]
    fn a_capture_of_nothing_says_why() {
        let error = capture(&[(2, "Not all CUDA events might have been collected.")]).import().unwrap_err().to_string();
        assert!(error.contains("holds no kernels") && error.contains("Not all CUDA events"), "{error}");
    }
}
