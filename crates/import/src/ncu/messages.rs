//! The lines that ncu prints among its tables: `==PROF==`, `==WARNING==`, `==ERROR==`.

use crate::Error;
use crate::raw::{Import, Severity, Source};

/// What was printed beside the tables.
#[derive(Debug, Default)]
pub(super) struct Messages {
    errors: Vec<(u64, String)>,
    more_errors: u64,
    warnings: u64,
    first_warning: Option<String>,
    output_lines: u64,
    seen: bool,
}

/// Errors kept word for word.
const KEPT: usize = 8;
/// How the missing permission is named.
const NO_PERMISSION: &str = "ERR_NVGPUCTRPERM";

/// Whether a line is one of ncu's messages.
pub(super) fn is_message(line: &[u8]) -> bool {
    [&b"==PROF=="[..], b"==ERROR==", b"==WARNING=="].iter().any(|start| line.starts_with(start))
}

impl Messages {
    /// Takes a line that is no part of a table.
    pub(super) fn take(&mut self, line: &[u8], number: u64) {
        let text = || String::from_utf8_lossy(line).trim().to_owned();
        self.seen |= is_message(line);
        if line.starts_with(b"==ERROR==") {
            if self.errors.len() < KEPT { self.errors.push((number, text())) } else { self.more_errors += 1 }
        } else if line.starts_with(b"==WARNING==") {
            self.warnings += 1;
            self.first_warning.get_or_insert_with(text);
        } else if !line.starts_with(b"==PROF==") && !line.trim_ascii().is_empty() {
            self.output_lines += 1;
        }
    }

    /// Notes what was printed as issues of an import that found rows.
    pub(super) fn report(&self, import: &mut Import<'_>) {
        if let Some((line, text)) = self.errors.first() {
            let count = self.errors.len() as u64 + self.more_errors;
            let detail = format!("ncu reported errors, so launches may be missing; the first, in line {line}: {text}");
            import.issue(Severity::DataLoss, "profiler_error", count, detail);
        }
        if let Some(text) = &self.first_warning {
            let detail = format!("warnings that ncu printed, the first: {text}");
            import.issue(Severity::Info, "profiler_warning", self.warnings, detail);
        }
        let detail = "lines that the profiled program printed among ncu's output were passed over";
        import.issue(Severity::Info, "program_output", self.output_lines, detail);
    }

    /// The error of a file in which no launch was found, where ncu says why; `rules` is how many rows of its rules it holds.
    pub(super) fn refusal(&self, rules: u64, source: &Source) -> Option<Error> {
        let unsupported = |reason: String, hint: &str| {
            Some(Error::Unsupported { path: source.path().to_owned(), reason, hint: hint.to_owned() })
        };
        if let Some((line, _)) = self.errors.iter().find(|(_, text)| text.contains(NO_PERMISSION)) {
            let reason = format!(
                "holds no metrics: ncu had no permission to read the GPU's performance counters ({NO_PERMISSION}, line {line})"
            );
            return unsupported(
                reason,
                "allow it with the driver option NVreg_RestrictProfilingToAdminUsers=0 or profile with CAP_SYS_ADMIN, \
                 see https://developer.nvidia.com/ERR_NVGPUCTRPERM, then capture again",
            );
        }
        if let Some((line, text)) = self.errors.first() {
            let text = text.trim_start_matches("==ERROR==").trim();
            return unsupported(
                format!("holds no metrics: ncu failed, in line {line}: {text}"),
                "mend what ncu complains about and capture again",
            );
        }
        if rules > 0 {
            return unsupported(
                format!("holds only advice of ncu's rules ({rules} rows), no metrics"),
                "write the raw page: ncu --import REPORT --csv --page raw, or profile with --set full or --metrics",
            );
        }
        if self.seen {
            return unsupported(
                "holds no metrics: ncu profiled no kernel".to_owned(),
                "check that the program launches kernels while it is profiled, and add --target-processes all where \
                 its children do; with --export, read the report with ncu --import",
            );
        }
        None
    }
}
