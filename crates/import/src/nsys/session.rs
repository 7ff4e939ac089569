//! Which version wrote an export, and when its session began.

use super::export::Export;
use crate::Error;
use crate::importers::Session;
use crate::raw::Source;

/// The newest major version of the schema that is known. nsys raises it for changes that readers cannot follow.
const NEWEST_MAJOR: u32 = 3;

/// Who wrote the export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schema {
    /// `3.25.0`, where the export tells.
    pub(super) version: Option<String>,
    /// Version of nsys.
    pub(super) tool_version: Option<String>,
}

/// Reads the schema's version, and refuses one that is newer than what is known.
pub(super) fn schema(export: &dyn Export, source: &Source) -> Result<Schema, Error> {
    let mut schema = Schema::default();
    for table in ["META_DATA_EXPORT", "EXPORT_META_DATA"] {
        export.scan(table, &["name", "value"], &mut |row| {
            match row.text(0).as_deref() {
                Some("EXPORT_SCHEMA_VERSION") => schema.version = row.text(1).map(std::borrow::Cow::into_owned),
                Some("EXPORT_PRODUCT_VERSION") => schema.tool_version = row.text(1).map(std::borrow::Cow::into_owned),
                _ => {}
            }
            Ok(())
        })?;
    }
    let version = schema.version.as_deref().unwrap_or_default();
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_some_and(|major| major > NEWEST_MAJOR) {
        return Err(Error::Unsupported {
            path: source.path().to_owned(),
            reason: format!(
                "is an export of schema {version} (nsys {}), and this proftool reads up to {NEWEST_MAJOR}.x",
                schema.tool_version.as_deref().unwrap_or("of unknown version")
            ),
            hint: "update proftool, or export the report with an older nsys".to_owned(),
        });
    }
    Ok(schema)
}

/// When the session began; 0 where the export does not tell.
pub(super) fn read(export: &dyn Export) -> Result<Session, Error> {
    let mut session = Session { clock: "nsys session".to_owned(), ..Session::default() };
    let wanted = &["utcEpochNs", "systemClockNs"];
    export.scan("TARGET_INFO_SESSION_START_TIME", wanted, &mut |row| {
        if session.start_unix_ns == 0 {
            session.start_unix_ns = row.int(0).unwrap_or(0);
            session.start_monotonic_ns = row.int(1).unwrap_or(0);
        }
        Ok(())
    })?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;

    fn of_version(version: &str) -> Fake {
        let mut fake = Fake::default();
        for (name, value) in [("EXPORT_SCHEMA_VERSION", version), ("EXPORT_PRODUCT_VERSION", "2031.1.1")] {
            fake.row("META_DATA_EXPORT", &[("name", name.into()), ("value", value.into())]);
        }
        fake.row("CUPTI_ACTIVITY_KIND_MEMSET", &[("start", 1.into()), ("end", 2.into())]);
        fake
    }

    #[test]
    fn a_newer_major_version_is_refused_with_instructions_and_a_newer_minor_one_is_read() {
        let error = of_version("4.0.1").import().unwrap_err().to_string();
        assert!(error.contains("schema 4.0.1 (nsys 2031.1.1)") && error.contains("update proftool"), "{error}");
        assert!(of_version("3.99.0").import().is_ok());
        assert!(of_version("odd").import().is_ok());
    }
}
