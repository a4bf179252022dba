//! One target of [`fuzz::TARGETS`], guided by coverage: `FUZZ_TARGET` names it, `FUZZ_CORPUS` is the folder of inputs, which
//! gets the target's seeds first. With `FUZZ_LIST` it only tells all names. See <https://llvm.org/docs/LibFuzzer.html>.

#![no_main]

use std::{fs, path::Path, sync::LazyLock};

static TARGET: LazyLock<&'static fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let all = || fuzz::TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    let found = fuzz::TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={name:?} is none of: {}", all()))
});

fn begin() {
    if std::env::var_os("FUZZ_LIST").is_some() {
        fuzz::TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let Some(corpus) = std::env::var_os("FUZZ_CORPUS") else { return };
    for (number, seed) in (TARGET.seeds)().into_iter().enumerate() {
        fs::write(Path::new(&corpus).join(format!("seed-{number}")), seed).expect("the folder of inputs can be written");
    }
}

libfuzzer_sys::fuzz_target!(init: begin(), |input: &[u8]| (TARGET.run)(input));
