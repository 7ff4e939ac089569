//! Generations of AMD's compute devices, as far as their counters differ.

use crate::counters::Note;
use crate::counters::page::Page;

/// A generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// MI100.
    Gfx908,
    /// MI200, and what counts like it.
    Gfx90a,
    /// MI300.
    Gfx94x,
    /// MI350.
    Gfx950,
    /// Nothing tells it.
    Unknown,
}

impl Family {
    /// From the architecture, else from names that only some devices have.
    pub(super) fn of(page: &Page<'_>, arch: Option<&str>, notes: &mut Vec<Note>) -> Self {
        match arch.filter(|arch| arch.starts_with("gfx")) {
            Some(arch) if arch.starts_with("gfx95") => Self::Gfx950,
            Some(arch) if arch.starts_with("gfx94") => Self::Gfx94x,
            Some("gfx908") => Self::Gfx908,
            Some(_) => Self::Gfx90a,
            None => Self::of_names(page, notes),
        }
    }

    fn of_names(page: &Page<'_>, notes: &mut Vec<Note>) -> Self {
        let any = |start: &str| page.names().any(|name| name.starts_with(start));
        let (family, code, detail) = if any("TCC_EA0_") || any("TCC_BUBBLE") {
            let family = if any("SQ_INSTS_VALU_MFMA_MOPS_F6F4") { Self::Gfx950 } else { Self::Gfx94x };
            let detail =
                "the page names no architecture; names of its counters (TCC_EA0, TCC_BUBBLE) are those of CDNA3";
            (family, "derived-architecture", detail)
        } else {
            let family = if any("TCC_EA_") { Self::Gfx90a } else { Self::Unknown };
            let detail = "the page names no architecture: the formulas are those of gfx90a; FLOP may be a lower bound";
            (family, "unknown-architecture", detail)
        };
        if page.names().next().is_some() {
            notes.push(Note { code, detail: detail.to_owned() });
        }
        family
    }

    /// Whether it is of CDNA3 or later: other names, lines of 128 bytes in the L1, reads of 128 bytes.
    pub(super) fn is_cdna3(self) -> bool {
        matches!(self, Self::Gfx94x | Self::Gfx950)
    }

    /// Whether it may do matrix arithmetic on a type: `F64` not before MI200, `F8` and `XF32` from MI300 (MI350 has
    /// no `XF32`), `F6F4` from MI350.
    pub(super) fn has_matrix(self, element: &str) -> bool {
        match element {
            "F64" => self != Self::Gfx908,
            "F8" => self.is_cdna3() || self == Self::Unknown,
            "XF32" => matches!(self, Self::Gfx94x | Self::Unknown),
            "F6F4" => matches!(self, Self::Gfx950 | Self::Unknown),
            _ => true,
        }
    }
}
