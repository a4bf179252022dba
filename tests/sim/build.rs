//! Links `src/entropy.c` into the binary `sim`, and into nothing else: see that file.

fn main() {
    let objects = cc::Build::new().file("src/entropy.c").compile_intermediates();
    for object in objects {
        println!("cargo:rustc-link-arg-bin=sim={}", object.display());
    }
    println!("cargo:rustc-link-arg-bin=sim=-Wl,--export-dynamic-symbol=getrandom");
    println!("cargo:rerun-if-changed=src/entropy.c");
}
