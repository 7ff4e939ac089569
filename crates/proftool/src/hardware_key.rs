//! The hardware key of imported files: a slug of the devices that they name.

use proftool_trace::manifest::Device;

/// `nvidia-h100-80gb-hbm3-x2` for two devices of that name; `None` where no device is named. `used` is how many of
/// them something ran on, 0 where the files do not tell.
pub(crate) fn of_devices(devices: &[Device], used: usize) -> Option<String> {
    let name = &devices.iter().find(|device| !slug(&device.name).is_empty())?.name;
    let mixed = devices.iter().any(|device| device.name != *name);
    let count = if used == 0 { devices.len() } else { used };
    Some(format!("{}{}-x{count}", slug(name), if mixed { "-mixed" } else { "" }))
}

/// Letters of a device's name in the key. The longest that NVIDIA and AMD give have 40.
const LONGEST: usize = 64;

/// A name in lower case, everything but letters and digits as single dashes. It names a folder, so a name that a damaged
/// file gives as megabytes of text is cut.
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let whole = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    whole.chars().take(LONGEST).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Device {
        Device { device: 0, kind: "cuda".to_owned(), name: name.to_owned(), arch: None }
    }

    #[test]
    fn the_key_names_the_device_and_how_many_were_used() {
        let all = [device("NVIDIA H100 80GB HBM3"), device("NVIDIA H100 80GB HBM3")];
        assert_eq!(of_devices(&all, 1).as_deref(), Some("nvidia-h100-80gb-hbm3-x1"));
        assert_eq!(of_devices(&all, 0).as_deref(), Some("nvidia-h100-80gb-hbm3-x2"));
        assert_eq!(of_devices(&[device("a"), device("b")], 0).as_deref(), Some("a-mixed-x2"));
        assert_eq!(of_devices(&[], 0), None);
        assert_eq!(of_devices(&[device("\u{1f4a5}"), device("../../B")], 0).as_deref(), Some("b-mixed-x2"));
        assert_eq!(of_devices(&[device(&"x".repeat(1 << 20))], 1).map(|key| key.len()), Some(LONGEST + 3));
    }
}
