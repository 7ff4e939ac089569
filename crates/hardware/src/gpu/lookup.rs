//! From a name or a probed device to its spec.

use super::{GpuSpec, all};

/// What is known of a device; every value may be wrong, absent or hostile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probed<'a> {
    /// Name as probed; may be empty.
    pub name: &'a str,
    /// `sm_90`, `gfx942`; features such as `:sramecc+` are ignored.
    pub arch: Option<&'a str>,
    /// Streaming multiprocessors or compute units.
    pub sm_count: Option<i64>,
    /// Device memory.
    pub memory_bytes: Option<i64>,
    /// Maximum clock.
    pub clock_hz: Option<f64>,
}

/// The spec of a probed device.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The spec.
    pub spec: &'static GpuSpec,
    /// What it was found by: `probed name`, `name`, `architecture and SM count`, or `architecture`.
    pub by: &'static str,
    /// How much of the part that the spec describes the device is.
    pub part: Part,
    /// What speaks against it: other units or memory than the spec states, or no name at all. It must be shown.
    pub note: Option<String>,
}

/// How much of the part that a spec describes a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it, as far as is known.
    #[default]
    Whole,
    /// So many of its units: fewer were sold under the name. What does not belong to one unit may differ as well.
    Units(u32),
    /// A MIG slice of so many units, where they are known. Its share of the memory and of L2 is not known.
    Slice(Option<u32>),
}

impl Part {
    /// What of a number that grows with the units the part has, 0 to 1; none where that is not known.
    pub fn share(self, spec: &GpuSpec) -> Option<f64> {
        match self {
            Self::Whole => Some(1.0),
            Self::Units(units) | Self::Slice(Some(units)) => {
                Some(f64::from(units) / f64::from(spec.units.value.max(1)))
            }
            Self::Slice(None) => None,
        }
    }

    /// `16 of 132 SM`; none for the whole part and where the units are not known.
    pub fn words(self, spec: &GpuSpec) -> Option<String> {
        match self {
            Self::Units(units) | Self::Slice(Some(units)) if units < spec.units.value => {
                Some(format!("{units} of {} {}", spec.units.value, spec.units.unit))
            }
            _ => None,
        }
    }

    fn of(spec: &GpuSpec, probed: &Probed<'_>) -> Self {
        let units = probed.sm_count.and_then(|units| u32::try_from(units).ok()).filter(|units| *units > 0);
        let units = units.filter(|units| *units <= spec.units.value);
        match units {
            _ if words(probed.name).any(|word| word == "mig") => Self::Slice(units),
            Some(units) if units < spec.units.value => Self::Units(units),
            _ => Self::Whole,
        }
    }
}

/// The spec of that slug or alias, in any case and with any punctuation.
pub fn find(text: &str) -> Option<&'static GpuSpec> {
    let key = key(text);
    let is = |name: &String| !key.is_empty() && self::key(name) == key;
    let slug = all().iter().find(|spec| is(&spec.slug));
    slug.or_else(|| all().iter().find(|spec| spec.aliases.iter().any(is)))
}

/// The spec of a probed device: by the name that drivers report, else by slug or alias. A device without a name
/// ([`is_placeholder`]) is found by architecture, units and memory where these leave one spec. One whose name no spec has is
/// another product, whatever its shape: the A40 has the units of the RTX A6000 and other clocks, so it finds nothing.
pub fn matching(probed: &Probed<'_>) -> Option<Match> {
    let name = key(probed.name);
    let reported = all().iter().find(|spec| !name.is_empty() && spec.probed.iter().any(|known| key(known) == name));
    let named = reported.map(|spec| (spec, "probed name")).or_else(|| find(probed.name).map(|spec| (spec, "name")));
    if let Some((spec, by)) = named {
        return Some(Match { spec, by, part: Part::of(spec, probed), note: contradiction(spec, probed) });
    }
    if !is_placeholder(probed.name) {
        return None;
    }
    if let Some(spec) = by_shape(probed) {
        return Some(Match { spec, by: "architecture and SM count", part: Part::Whole, note: None });
    }
    let spec = by_arch(probed)?;
    let note = format!("the device has no name; {} is the only one of {}", spec.slug, spec.arch);
    Some(Match { spec, by: "architecture", part: Part::Whole, note: Some(note) })
}

/// The spec that is most like a device which has none: of the same architecture and units, else of a close name. For a hint;
/// its numbers are those of another product.
pub fn closest(probed: &Probed<'_>) -> Option<&'static GpuSpec> {
    let slug = || suggest(probed.name).first().and_then(|slug| find(slug));
    by_shape(probed).or_else(|| by_arch(probed)).or_else(slug)
}

/// Whether a name tells no product: what importers write for a device that its file does not name, a bare number or
/// architecture, the name of a family, and what drivers report for a product that they do not know.
pub fn is_placeholder(name: &str) -> bool {
    const GENERIC: &[&str] =
        &["cuda", "hip", "rocm", "gpu", "device", "graphics", "radeon", "generic", "mi200", "mi300", "mi350"];
    let key = key(name);
    let first = key.split('-').next().unwrap_or_default();
    let number = |word: &str| word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit());
    ["unknown", "unnamed", "sm"].contains(&first)
        || first.starts_with("gfx")
        || key.split('-').all(|word| GENERIC.contains(&word) || number(word))
}

/// Architectures that one product only has, so that it is known by them alone. `sm_75` is not among them: the T4 is one of
/// many, though no other has a spec.
const ONE_PRODUCT: &[&str] = &["sm_121", "gfx908"];

/// The only product of that architecture, where nothing else of the probe speaks against it.
fn by_arch(probed: &Probed<'_>) -> Option<&'static GpuSpec> {
    let arch = ONE_PRODUCT.iter().find(|arch| plain_arch(probed.arch.unwrap_or_default()) == **arch)?;
    all().iter().find(|spec| spec.arch == **arch && contradiction(spec, probed).is_none())
}

/// The only spec of that architecture, unit count and memory.
fn by_shape(probed: &Probed<'_>) -> Option<&'static GpuSpec> {
    let (arch, units) = (plain_arch(probed.arch?), probed.sm_count?);
    let shape = |spec: &&GpuSpec| spec.arch == arch && i64::from(spec.units.value) == units;
    let mut candidates: Vec<&'static GpuSpec> = all().iter().filter(shape).collect();
    if let Some(bytes) = probed.memory_bytes {
        candidates.retain(|spec| has_memory(spec, bytes));
    }
    if candidates.len() > 1 && !is_placeholder(probed.name) {
        let pcie = key(probed.name).contains("pcie");
        candidates.retain(|spec| spec.slug.contains("pcie") == pcie);
    }
    if let (true, Some(hz)) = (candidates.len() > 1, probed.clock_hz) {
        candidates.retain(|spec| spec.clock("boost").is_some_and(|clock| (hz / clock.hz - 1.0).abs() < 0.02));
    }
    (candidates.len() == 1).then(|| candidates[0])
}

/// What the probe says against the spec of its name.
fn contradiction(spec: &GpuSpec, probed: &Probed<'_>) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(arch) = probed.arch.map(plain_arch).filter(|arch| *arch != spec.arch) {
        parts.push(format!("the device is {}, the spec {}", short(arch), spec.arch));
    }
    if let Some(units) = probed.sm_count.filter(|units| *units != i64::from(spec.units.value)) {
        let (stated, unit) = (spec.units.value, &spec.units.unit);
        let is = if words(probed.name).any(|word| word == "mig") { "a MIG slice" } else { "another variant" };
        parts.push(format!("the device has {units} {unit}s, the spec {stated}: {is}"));
    }
    if let Part::Slice(None) = Part::of(spec, probed) {
        parts.push("a MIG slice of unknown size".to_owned());
    }
    if let Some(bytes) = probed.memory_bytes.filter(|bytes| !has_memory(spec, *bytes)) {
        let stated = spec.bytes("memory").unwrap_or_default();
        parts.push(format!("the device has {bytes} bytes of memory, the spec {stated}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Whether a device of that spec may report that much memory: not more than is sold, and up to a tenth less, which firmware
/// and ECC take.
fn has_memory(spec: &GpuSpec, bytes: i64) -> bool {
    let fits = |stated: u64| (0.9..=1.001).contains(&(bytes as f64 / stated as f64));
    spec.size.iter().filter(|size| size.name == "memory").any(|size| fits(size.value))
}

/// `gfx942` of `gfx942:sramecc+:xnack-`, `sm_90` of `sm_90a`.
pub(super) fn plain_arch(arch: &str) -> &str {
    let arch = arch.split(':').next().unwrap_or(arch);
    if arch.starts_with("sm_") { arch.trim_end_matches(['a', 'f']) } else { arch }
}

/// Lower-case words without the maker's, joined by dashes; a MIG profile at the end is left out.
fn key(name: &str) -> String {
    let words: Vec<String> = words(name).take_while(|word| word != "mig").collect();
    let own = words.iter().map(String::as_str).filter(|word| !["nvidia", "amd", "tesla", "instinct"].contains(word));
    own.collect::<Vec<_>>().join("-")
}

/// Lower-case words of letters and digits.
fn words(name: &str) -> impl Iterator<Item = String> {
    let words = short(name).split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase)
}

/// At most the first 64 characters: no name is longer.
fn short(name: &str) -> &str {
    name.char_indices().nth(64).map_or(name, |(end, _)| &name[..end])
}

/// Slugs that `text` may have meant, the closest first, at most five; only those that contain it where some do.
pub fn suggest(text: &str) -> Vec<&'static str> {
    let text = key(text);
    if text.is_empty() {
        return Vec::new();
    }
    let score = |name: &str| match distance(&text, name) {
        _ if name.contains(&text) => Some(0),
        apart if text.contains(name) || apart <= text.len() / 4 + 1 => Some(apart.max(1)),
        _ => None,
    };
    let best = |spec: &GpuSpec| [&spec.slug].into_iter().chain(&spec.aliases).filter_map(|name| score(name)).min();
    let mut found: Vec<_> = all().iter().filter_map(|spec| Some((best(spec)?, spec.slug.as_str()))).collect();
    found.sort_unstable();
    if found.first().is_some_and(|first| first.0 == 0) {
        found.retain(|entry| entry.0 == 0);
    }
    found.into_iter().take(5).map(|(_, slug)| slug).collect()
}

/// Letters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.bytes().enumerate() {
            let cost = (diagonal + usize::from(left != right)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}
