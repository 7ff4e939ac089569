//! What nsys prints when something is wrong, and what mends it.

use crate::profilers::{Missing, Note, Severity};

/// A message of nsys with its meaning.
struct Message {
    /// All of these stand in the text.
    marks: &'static [&'static str],
    code: &'static str,
    severity: Severity,
    reason: &'static str,
    fix: &'static str,
}

const TOO_NEW: &str = "report_too_new";
const NEWER: &str = "the report was written by a newer nsys than this one";
const EXPORT_ELSEWHERE: &str = "export it with the nsys that wrote it, or install that version";
const TEMPORARY_FULL: &str = "the disk of the temporary folder is full";
const FREE: &str =
    "free some space; nsys needs many times the size of its report in the temporary folder, which TMPDIR names";
const FORBIDDEN: &str = "reading GPU counters is not permitted here";
const PERMIT: &str =
    "load the driver with NVreg_RestrictProfilingToAdminUsers=0, or run as root; a container needs CAP_SYS_ADMIN";

/// The messages, the most telling first, with the version that printed them.
static MESSAGES: &[Message] = &[
    // 2022.4.2, given a report of 2025.5.1: `Version number is invalid: 2025@5@1@121-255136380782v0`.
    error(&["Version number is invalid: 20"], TOO_NEW, NEWER, EXPORT_ELSEWHERE),
    // 2025.5.2 and 2026.2.1: "created in Nsight Systems version (2026.3.1), newer than your current version (2026.2.1)".
    error(&["Report was created in Nsight Systems version", "newer than your"], TOO_NEW, NEWER, EXPORT_ELSEWHERE),
    // 2022.4.2 of Debian 12, whose two packages put the parts where they do not find each other.
    error(
        &["importer binary", "not found"],
        "no_importer",
        "nsys cannot find its importer, so that it leaves an intermediate file and no report",
        "see `proftool doctor` for the command that mends it",
    ),
    // 2023.4.4, where a library of the importer was missing.
    error(
        &["Unable to retrieve the importer version"],
        "no_importer",
        "nsys cannot run its importer, so that it leaves an intermediate file (.qdstrm) and no report",
        "run QdstrmImporter --version to see what it lacks, or import the file with the same version on another machine",
    ),
    // 2022.4.2: what the importer says of the stream of a run that was killed.
    loss(
        &["Qdstrm file is incomplete or invalid"],
        "incomplete",
        "the recording was cut off before nsys had finished it",
        "record a shorter run; the intermediate file (.qdstrm) stays in raw/ and no tool reads it",
    ),
    loss(&["No space left on device"], "disk_full", "the disk is full", FREE),
    // 2022.4.2, TMPDIR on a disk of 200 KB: code 1 before the target starts.
    loss(&["Invalid truncate size."], "disk_full", TEMPORARY_FULL, FREE),
    // 2022.4.2, TMPDIR on a disk that the target's output filled: nsys hung, and the target crashed in its library.
    loss(&["WriteStreamException", "termination status"], "disk_full", TEMPORARY_FULL, FREE),
    // 2022.4.2, TMPDIR a folder that does not exist: code 1 before the target starts.
    error(
        &["Agent launcher failed."],
        "no_temporary_folder",
        "nsys cannot start its agent, as where it has no temporary folder",
        "name a folder that you can write with TMPDIR",
    ),
    // 2022.4.2, once in many runs on a busy machine: code 1 after 0.2 s, the target has not run.
    error(
        &["Local Endpoint is not available"],
        "no_agent",
        "nsys did not reach the agent that it had started",
        "capture again, while the machine is less busy",
    ),
    // 2022.4.2: code 0, and the report goes to the temporary folder; also "Not a directory" and "Permission denied".
    error(
        &["Failed to create '", ".nsys-rep': "],
        "not_written",
        "nsys could not write its report where it was told to",
        "name a folder that you can write with --artifacts",
    ),
    // 2026.3.1, where another user's nsys had made the folder first.
    error(
        &["Failed to create directory", "nsight_systems", "Permission denied"],
        "no_temporary_folder",
        "nsys cannot write its temporary files",
        "name a folder that you can write with TMPDIR",
    ),
    // User guide of 2022.4.1, GPU metrics.
    error(&["ERR_NVGPUCTRPERM"], "no_permission", FORBIDDEN, PERMIT),
    // 2026.1: "Illegal --gpu-metrics-devices usage. None of the installed GPUs are supported: ... Insufficient privilege".
    error(&["--gpu-metrics-device", "Insufficient privilege"], "no_permission", FORBIDDEN, PERMIT),
    // The strings of 2022.4.2.
    error(
        &["NVIDIA GPUs not found, feature is not available"],
        "no_gpu",
        "there is no GPU whose counters nsys can sample",
        "capture without GPU metrics",
    ),
    error(
        &["unrecognised option"],
        "unknown_option",
        "this nsys does not take an option that proftool gave it",
        "see stderr.txt for its name, and use another version of nsys",
    ),
    error(
        &["Illegal --"],
        "illegal_value",
        "this nsys does not take a value that proftool gave it",
        "see stderr.txt for the option, and use another version of nsys",
    ),
    // Release notes of 2022.4.1, known issues.
    error(
        &["database is locked"],
        "no_file_locks",
        "the file system cannot lock files, which SQLite needs",
        "capture into a folder on a local disk with --artifacts",
    ),
    loss(
        &["Reached the size limit on recording trace events"],
        "trace_full",
        "nsys stopped recording events when its memory for them was full",
        "record a shorter part of the run, or trace fewer APIs",
    ),
    // 2022.4.2, when its agent gets SIGINT beside it.
    loss(
        &["End of file"],
        "agent_lost",
        "nsys lost the process that records for it",
        "let proftool end a capture (--timeout, one Ctrl-C), and do not signal nsys's own processes",
    ),
    error(
        &["Exportation error: Cannot read from stream"],
        "damaged_report",
        "the report is damaged, or is none",
        "capture again",
    ),
];

const fn error(marks: &'static [&'static str], code: &'static str, reason: &'static str, fix: &'static str) -> Message {
    Message { marks, code, severity: Severity::Error, reason, fix }
}

const fn loss(marks: &'static [&'static str], code: &'static str, reason: &'static str, fix: &'static str) -> Message {
    Message { marks, code, severity: Severity::DataLoss, reason, fix }
}

/// What a text of nsys says went wrong: each kind once, the most telling first.
pub fn explain(printed: &str) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for message in MESSAGES.iter().filter(|message| message.marks.iter().all(|mark| printed.contains(mark))) {
        if notes.iter().any(|note| note.code == message.code) {
            continue;
        }
        let reason = match newer_version(printed).filter(|_| message.code == TOO_NEW) {
            Some(version) => format!("{} ({version})", message.reason),
            None => message.reason.to_owned(),
        };
        let detail = Missing { reason, fix: message.fix.to_owned() }.to_string();
        notes.push(Note { severity: message.severity, code: message.code, detail });
    }
    notes
}

/// The version of the tool that wrote a report which this one refuses.
fn newer_version(printed: &str) -> Option<String> {
    if let Some((_, rest)) = printed.split_once("Version number is invalid: ") {
        let word = rest.split(|letter: char| letter == '-' || letter.is_whitespace()).next()?;
        return Some(word.replace('@', "."));
    }
    let (_, rest) = printed.split_once("Report was created in Nsight Systems version (")?;
    rest.split_once(')').map(|(version, _)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(printed: &str) -> (&'static str, String) {
        let note = explain(printed).into_iter().next().expect("it is known");
        (note.code, note.detail)
    }

    #[test]
    fn a_report_that_is_newer_than_the_tool_is_told_with_its_version() {
        let (code, detail) = first("Exportation error: Version number is invalid: 2025@5@1@121-255136380782v0\n");
        assert_eq!(code, "report_too_new");
        assert!(detail.contains("newer nsys than this one (2025.5.1.121)"), "{detail}");
        let text = "Exportation error: Report was created in Nsight Systems version (2026.3.1),\nnewer than your current version (2026.2.1).";
        let (code, detail) = first(text);
        assert_eq!(code, "report_too_new");
        assert!(detail.contains("(2026.3.1)") && detail.contains("hint: "), "{detail}");
    }

    #[test]
    fn messages_of_the_tool_get_their_fix() {
        let code = |text| first(text).0;
        assert_eq!(code("The importer binary and its dependencies were not found"), "no_importer");
        let refused = "Failed to create directory \"/tmp/nvidia/nsight_systems\": Permission denied";
        assert_eq!(code(refused), "no_temporary_folder");
        assert_eq!(code("Qdstrm file is incomplete or invalid. Please ensure that the CLI ran"), "incomplete");
        assert_eq!(code("unrecognised option '--bogus=1'"), "unknown_option");
        assert_eq!(code("Illegal --trace argument 'foo'"), "illegal_value");
        assert_eq!(code("[QuadDCommon::tag_message*] = Local Endpoint is not available."), "no_agent");
        assert_eq!(code("See https://developer.nvidia.com/ERR_NVGPUCTRPERM"), "no_permission");
        assert_eq!(code("std::exception::what: database is locked"), "no_file_locks");
    }

    #[test]
    fn what_a_full_or_closed_disk_makes_it_print_is_known() {
        let code = |text| first(text).0;
        // Each as 2022.4.2 printed it.
        assert_eq!(code("Failed to create '/nonexistent/s5.nsys-rep': No such file or directory."), "not_written");
        assert_eq!(code("Failed to create '/tmp/ro/s8.nsys-rep': Permission denied."), "not_written");
        assert_eq!(code("Failed to create '/tmp/full/s6.qdstrm': No space left on device."), "disk_full");
        assert_eq!(code("Invalid truncate size.\n"), "disk_full");
        assert_eq!(code("Agent launcher failed.\n"), "no_temporary_folder");
        let hung = "std::exception::what: WriteStreamException\n[QuadDCommon::tag_message*] = Failed to write termination status to file";
        assert_eq!(code(hung), "disk_full");
    }

    #[test]
    fn an_ordinary_run_needs_no_explanation_and_a_kind_is_told_once() {
        assert!(explain("Generating '/tmp/nsys-report-8853.qdstrm'\nGenerated:\n    /tmp/r.nsys-rep\n").is_empty());
        assert!(explain("").is_empty());
        let twice = "ERR_NVGPUCTRPERM\nIllegal --gpu-metrics-devices usage. Insufficient privilege ERR_NVGPUCTRPERM";
        assert_eq!(explain(twice).iter().filter(|note| note.code == "no_permission").count(), 1);
    }
}
