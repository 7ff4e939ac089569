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
    /// What it was found by: `probed name`, `name`, or `architecture and SM count`.
    pub by: &'static str,
    /// What speaks against it: other units or memory than the spec states, or a name that no spec has. The peaks are those
    /// of the whole part that the spec describes; the caller decides whether to use them, and must show this.
    pub note: Option<String>,
}

/// The spec of that slug or alias, in any case and with any punctuation.
pub fn find(text: &str) -> Option<&'static GpuSpec> {
    let key = key(text);
    let is = |name: &String| !key.is_empty() && self::key(name) == key;
    let slug = all().iter().find(|spec| is(&spec.slug));
    slug.or_else(|| all().iter().find(|spec| spec.aliases.iter().any(is)))
}

/// The spec of a probed device: by the name that drivers report, else by slug or alias, else by architecture, units and
/// memory where these leave one spec.
pub fn matching(probed: &Probed<'_>) -> Option<Match> {
    let name = key(probed.name);
    let reported = all().iter().find(|spec| !name.is_empty() && spec.probed.iter().any(|known| key(known) == name));
    let named = reported.map(|spec| (spec, "probed name")).or_else(|| find(probed.name).map(|spec| (spec, "name")));
    if let Some((spec, by)) = named {
        return Some(Match { spec, by, note: contradiction(spec, probed) });
    }
    let spec = by_shape(probed)?;
    let note = format!("no spec is named {:?}; {} has the same architecture and units", short(probed.name), spec.slug);
    let note = (!name.is_empty() && !name.starts_with("gfx")).then_some(note);
    Some(Match { spec, by: "architecture and SM count", note })
}

/// The only spec of that architecture, unit count and memory.
fn by_shape(probed: &Probed<'_>) -> Option<&'static GpuSpec> {
    let (arch, units) = (plain_arch(probed.arch?), probed.sm_count?);
    let shape = |spec: &&GpuSpec| spec.arch == arch && i64::from(spec.units.value) == units;
    let mut candidates: Vec<&'static GpuSpec> = all().iter().filter(shape).collect();
    if let Some(bytes) = probed.memory_bytes {
        candidates.retain(|spec| has_memory(spec, bytes));
    }
    if candidates.len() > 1 && !probed.name.is_empty() {
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
        parts.push(format!("the device has {units} {unit}s, the spec {stated}: a MIG slice or another variant"));
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
fn plain_arch(arch: &str) -> &str {
    let arch = arch.split(':').next().unwrap_or(arch);
    if arch.starts_with("sm_") { arch.trim_end_matches(['a', 'f']) } else { arch }
}

/// Lower-case words without the maker's, joined by dashes; a MIG profile at the end is left out.
fn key(name: &str) -> String {
    let name = short(name).to_ascii_lowercase();
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.take_while(|word| *word != "mig");
    words.filter(|word| !["nvidia", "amd", "tesla", "instinct"].contains(word)).collect::<Vec<_>>().join("-")
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
