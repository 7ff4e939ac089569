//! The hardware key of imported files: a slug of the devices that they name.

use proftool_trace::manifest::Device;

/// `nvidia-h100-80gb-hbm3-x2` for two devices of that name; `None` where no device is named. `used` is how many of
/// them something ran on, 0 where the files do not tell.
pub(crate) fn of_devices(devices: &[Device], used: usize) -> Option<String> {
    let name = &devices.iter().find(|device| !device.name.is_empty())?.name;
    let mixed = devices.iter().any(|device| device.name != *name);
    let count = if used == 0 { devices.len() } else { used };
    Some(format!("{}{}-x{count}", slug(name), if mixed { "-mixed" } else { "" }))
}

/// A name in lower case, everything but letters and digits as single dashes.
fn slug(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
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
    }
}
