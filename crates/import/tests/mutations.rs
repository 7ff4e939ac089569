//! Importers on damaged files: every format's real files are mutated, and each import must end in tables that are whole
//! in themselves or in one clear error, without a panic, a hang, or memory that the file's size does not explain.
//!
//! `cargo test -p proftool-import --test mutations` runs a short round that is the same every time; `docs/fuzzing.md`
//! has the long one and the fuzz targets that share this code.

#[path = "mutations/check.rs"]
mod check;
#[path = "mutations/input.rs"]
mod input;
#[path = "mutations/memory.rs"]
mod memory;
#[path = "mutations/mutate.rs"]
mod mutate;
#[path = "mutations/random.rs"]
mod random;
#[path = "mutations/round.rs"]
mod round;
#[path = "mutations/seeds.rs"]
mod seeds;
#[path = "mutations/shrink.rs"]
mod shrink;
#[path = "mutations/sqlite.rs"]
mod sqlite;
#[path = "mutations/written.rs"]
mod written;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proftool_import::importers::IMPORTERS;

use input::Input;
use round::{Round, Stop};
use seeds::Seeded;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Imports of each format in the short round.
const IMPORTS: u64 = 250;

/// Every importer with its seeds, made once.
fn seeds() -> Option<&'static [Seeded]> {
    static SEEDS: OnceLock<Option<Vec<Seeded>>> = OnceLock::new();
    SEEDS.get_or_init(seeds::all).as_deref()
}

#[test]
fn every_importer_has_a_seed_that_it_reads() {
    let Some(all) = seeds() else { return };
    let place = input::folder().unwrap();
    for Seeded { importer, seeds } in all {
        assert!(!seeds.is_empty(), "{} needs a seed: see tests/mutations/written.rs", importer.name);
        let read = |seed: &Input| check::import(importer, &seed.write(place.path()).unwrap());
        let results: Vec<_> = seeds.iter().map(read).collect();
        println!("{}: {:?} bytes", importer.name, seeds.iter().map(Input::len).collect::<Vec<_>>());
        assert!(results.contains(&Ok(true)), "{} reads none of its seeds: {results:?}", importer.name);
    }
}

#[test]
fn damaged_files_give_whole_tables_or_one_clear_error() {
    let Some(all) = seeds() else { return };
    for seeded in all {
        Round::new(seeded, 1).run(Stop::After(IMPORTS)).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn every_importer_has_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let stems = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap().map(|entry| entry.unwrap().path());
    let targets: BTreeSet<String> = stems.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let listed: BTreeSet<String> = IMPORTERS.iter().map(|importer| importer.name.to_owned()).collect();
    assert_eq!(targets, listed);
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in fuzz/Cargo.toml");
    }
}

/// The long round: each importer for `PROFTOOL_FUZZ_SECONDS` from a seed that the clock gives (or
/// `PROFTOOL_FUZZ_SEED`); `PROFTOOL_FUZZ_ONLY=a,b` names importers.
#[test]
#[ignore = "takes PROFTOOL_FUZZ_SECONDS (60) for each format"]
fn a_long_round() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let seconds = Duration::from_secs(number("PROFTOOL_FUZZ_SECONDS").unwrap_or(60));
    let seed = number("PROFTOOL_FUZZ_SEED").unwrap_or_else(clock);
    let only = std::env::var("PROFTOOL_FUZZ_ONLY").unwrap_or_default();
    let Some(all) = seeds() else { return };
    let wanted = |name: &str| only.is_empty() || only.split(',').any(|one| one == name);
    let mut failures = Vec::new();
    for seeded in all.iter().filter(|seeded| wanted(seeded.importer.name)) {
        let end = Instant::now() + seconds;
        match Round::new(seeded, seed).run(Stop::At(end)) {
            Ok(done) => println!("{}: {done}, seed {seed}", seeded.importer.name),
            Err(failure) => {
                println!("{failure}");
                failures.push(failure);
            }
        }
    }
    assert!(failures.is_empty(), "{} formats failed:\n{}", failures.len(), failures.join("\n"));
}

/// Imports the file that `PROFTOOL_FUZZ_INPUT` names by `PROFTOOL_FUZZ_ONLY`: a failing input once more.
#[test]
#[ignore = "needs PROFTOOL_FUZZ_INPUT and PROFTOOL_FUZZ_ONLY"]
fn one_input_again() {
    let (path, name) = (std::env::var("PROFTOOL_FUZZ_INPUT").unwrap(), std::env::var("PROFTOOL_FUZZ_ONLY").unwrap());
    let importer = IMPORTERS.iter().find(|importer| importer.name == name).expect("an importer of that name");
    let place = input::folder().unwrap();
    let written = Input::from_bytes(&std::fs::read(path).unwrap()).write(place.path()).unwrap();
    let (result, bytes) = memory::peak(|| check::import(importer, &written));
    println!("{result:?}, {bytes} bytes at most");
    result.unwrap();
}

/// Writes the seeds where `cargo fuzz` looks for them: `PROFTOOL_FUZZ_CORPUS/<importer>/`.
#[test]
#[ignore = "needs PROFTOOL_FUZZ_CORPUS"]
fn write_the_corpus() {
    let corpus = std::env::var("PROFTOOL_FUZZ_CORPUS").unwrap();
    let Some(all) = seeds() else { return };
    for Seeded { importer, seeds } in all {
        let folder = Path::new(&corpus).join(importer.name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed{number}")), seed.to_bytes()).unwrap();
        }
    }
}
