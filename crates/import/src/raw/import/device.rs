//! Devices: what the file calls them, what the user calls them, and which hardware spec describes them.

use proftool_hardware::gpu;
use proftool_trace::rows::Device;

use super::{Import, Severity};
use crate::Error;

impl Import<'_> {
    /// Takes a device. A GPU that the file does not name has the name that the user gave; one that the file names keeps it,
    /// and one that no hardware spec describes is an issue: only measured roofs can bound it.
    ///
    /// # Errors
    /// When it cannot be written, and when the user named a device of another architecture than the file states.
    pub fn device(&mut self, row: &Device<'_>) -> Result<(), Error> {
        self.described.insert(row.device);
        let Some(kind) = ["cuda", "hip"].into_iter().find(|kind| *kind == row.kind) else { return self.put(row) };
        let given = self.hardware.clone();
        let row = match given.as_deref() {
            Some(given) if gpu::is_placeholder(row.name) => {
                self.check_hardware(given, kind, row.arch)?;
                Device { name: given, ..*row }
            }
            Some(given) => {
                self.note_unused(given, row);
                *row
            }
            None => *row,
        };
        self.note_unknown(&row);
        self.put(&row)
    }

    /// The spec that the user gave must be able to be the device of the file.
    fn check_hardware(&self, given: &str, kind: &str, arch: Option<&str>) -> Result<(), Error> {
        let Some(spec) = gpu::find(given) else { return Ok(()) };
        let arch = arch.filter(|arch| !spec.has_arch(arch));
        let other = arch.or((kind != spec.kind).then_some(if kind == "hip" { "AMD" } else { "NVIDIA" }));
        let Some(other) = other else { return Ok(()) };
        let reason = format!("is of a device of {other}, and --hardware {given} is of {}", spec.arch);
        let hint = "name the device that the file is of, or leave --hardware out".to_owned();
        Err(Error::Unsupported { path: self.source.path().to_owned(), reason, hint })
    }

    fn note_unused(&mut self, given: &str, row: &Device<'_>) {
        let named = gpu::matching(&probed(row)).map(|found| found.spec.slug.as_str());
        if named.is_none() || named != gpu::find(given).map(|spec| spec.slug.as_str()) {
            let (number, name) = (row.device, row.name);
            let detail =
                format!("device {number} is named {name} in the file, which counts: --hardware {given} is not used");
            self.issue(Severity::Info, "hardware_not_used", 1, detail);
        }
    }

    fn note_unknown(&mut self, row: &Device<'_>) {
        let probed = probed(row);
        if gpu::matching(&probed).is_some() {
            return;
        }
        let (number, name, arch) = (row.device, row.name, row.arch.unwrap_or("an unknown architecture"));
        let hint = match gpu::closest(&probed) {
            _ if gpu::is_placeholder(name) => "; --hardware names a device that its file does not".to_owned(),
            Some(spec) => format!("; the closest is {}, another product", spec.slug),
            None => String::new(),
        };
        let detail = format!(
            "device {number}, {name} ({arch}), is in no hardware spec: its roofs can only be measured ones \
             (`proftool list hardware` shows the specs{hint})"
        );
        self.issue(Severity::Info, "unknown_hardware", 1, detail);
    }
}

/// What a row tells about a device.
fn probed<'a>(row: &Device<'a>) -> gpu::Probed<'a> {
    gpu::Probed {
        name: row.name,
        arch: row.arch,
        sm_count: row.sm_count,
        memory_bytes: row.memory_bytes,
        clock_hz: row.clock_hz.map(|hz| hz as f64),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proftool_trace::frame::texts;
    use proftool_trace::sink::{Filled, Sink};
    use proftool_trace::tables;

    use super::*;
    use crate::raw::{Progress, Source};

    /// Names of the devices, then codes and details of the issues; or the error.
    fn taken(hardware: Option<&str>, row: &Device<'_>) -> Result<(Vec<String>, String), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        let source = Source::open(file.path(), &Arc::new(Progress::default())).unwrap();
        let mut import = Import::new("test", &source, Sink::memory("test", 0));
        import.hardware = hardware.map(str::to_owned);
        import.device(row).map_err(|error| error.to_string())?;
        let Filled::Tables(tables) = import.finish().unwrap().0.finish().unwrap() else { unreachable!() };
        let all = |table, column| texts(tables.get(table), column).unwrap().into_iter().flatten();
        let issues = all(&tables::ISSUES, "code").zip(all(&tables::ISSUES, "detail"));
        let issues: Vec<_> = issues.map(|(code, detail)| format!("{code}: {detail}")).collect();
        Ok((all(&tables::DEVICES, "name").collect(), issues.join("\n")))
    }

    fn row<'a>(name: &'a str, arch: Option<&'a str>) -> Device<'a> {
        Device { kind: "cuda", name, arch, ..Device::default() }
    }

    #[test]
    fn a_device_without_a_name_has_that_which_the_user_gave() {
        for name in ["", "unknown CUDA device", "unnamed sm_90", "sm_90"] {
            let (names, issues) = taken(Some("h100-sxm"), &row(name, None)).unwrap();
            assert_eq!((names, issues.as_str()), (vec!["h100-sxm".to_owned()], ""), "{name}");
        }
        let (names, issues) = taken(None, &row("unknown CUDA device", None)).unwrap();
        assert!(names == ["unknown CUDA device"] && issues.contains("--hardware names"), "{issues}");
        assert!(taken(Some("h100-sxm"), &row("sm_90a", Some("sm_90a"))).is_ok());
    }

    #[test]
    fn a_device_that_the_file_names_keeps_its_name_and_says_so() {
        let (names, issues) = taken(Some("a100-40gb"), &row("NVIDIA H100 80GB HBM3", Some("sm_90"))).unwrap();
        assert!(names == ["NVIDIA H100 80GB HBM3"] && issues.starts_with("hardware_not_used: "), "{issues}");
        let (names, issues) = taken(Some("h100-sxm"), &row("NVIDIA H100 80GB HBM3", Some("sm_90"))).unwrap();
        assert_eq!((names, issues.as_str()), (vec!["NVIDIA H100 80GB HBM3".to_owned()], ""));
    }

    #[test]
    fn a_spec_of_another_architecture_than_the_file_states_is_refused() {
        let error = taken(Some("a100-40gb"), &row("unnamed sm_90", Some("sm_90"))).unwrap_err();
        assert!(error.contains("of sm_90") && error.contains("--hardware a100-40gb is of sm_80"), "{error}");
        let error = taken(Some("mi300x"), &row("", None)).unwrap_err();
        assert!(error.contains("of NVIDIA") && error.contains("gfx942"), "{error}");
        let cpu = Device { kind: "cpu", name: "", ..Device::default() };
        assert_eq!(taken(Some("mi300x"), &cpu).unwrap().0, [""]);
    }

    #[test]
    fn a_product_without_a_spec_is_an_issue_that_names_the_closest() {
        let a40 = Device { sm_count: Some(84), ..row("NVIDIA A40", Some("sm_86")) };
        let (_, issues) = taken(None, &a40).unwrap();
        assert!(issues.starts_with("unknown_hardware: ") && issues.contains("the closest is rtx-a6000"), "{issues}");
    }
}
