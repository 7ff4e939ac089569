//! Names and identifiers of NVIDIA's GPUs, where its management library is there.

use nvml_wrapper::Nvml;

use super::Gpu;

/// Gives the GPUs that NVML knows its numbers, names and identifiers; the others come after them. Without the library nothing
/// changes: sysfs alone tells where they are.
pub(super) fn name(gpus: &mut [Gpu]) {
    let Some(nvml) = library() else { return };
    let count = nvml.device_count().unwrap_or(0);
    let known: Vec<Known> = (0..count).filter_map(|number| known(&nvml, number)).collect();
    let mut beyond = i64::from(count);
    for gpu in gpus.iter_mut() {
        if let Some(known) = known.iter().find(|known| known.pci_bus_id == gpu.pci_bus_id) {
            (gpu.device, gpu.name, gpu.uuid) = (known.device, known.name.clone(), Some(known.uuid.clone()));
        } else {
            gpu.device = beyond;
            beyond += 1;
        }
    }
    gpus.sort_by_key(|gpu| gpu.device);
}

/// Found where the sampler finds it: where the environment says, else by the loader.
fn library() -> Option<Nvml> {
    let path = std::env::var_os("PROFTOOL_NVML_PATH").unwrap_or_else(|| "libnvidia-ml.so.1".into());
    Nvml::builder().lib_path(&path).init().ok()
}

struct Known {
    device: i64,
    name: String,
    uuid: String,
    pci_bus_id: String,
}

fn known(nvml: &Nvml, number: u32) -> Option<Known> {
    let device = nvml.device_by_index(number).ok()?;
    let address = device.pci_info().ok()?.bus_id;
    Some(Known {
        device: i64::from(number),
        name: device.name().ok()?,
        uuid: device.uuid().ok()?,
        pci_bus_id: as_sysfs(&address),
    })
}

/// NVML writes the domain with eight digits and capitals, sysfs with four and small letters.
fn as_sysfs(address: &str) -> String {
    let address = address.to_lowercase();
    match address.split_once(':') {
        Some((domain, rest)) if domain.len() > 4 && domain.starts_with("0000") => {
            format!("{}:{rest}", &domain[domain.len() - 4..])
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_sysfs_writes_it() {
        assert_eq!(as_sysfs("00000000:3B:00.0"), "0000:3b:00.0");
        assert_eq!(as_sysfs("0000:3b:00.0"), "0000:3b:00.0");
        assert_eq!(as_sysfs("00010000:3B:00.0"), "00010000:3b:00.0");
    }
}
