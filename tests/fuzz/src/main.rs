//! One reader of `deadelus-junk` under libFuzzer: `DEADELUS_FUZZ` names it, `DEADELUS_FUZZ_CORPUS` the
//! folder that its valid samples are put into. `tests/fuzz/run` builds and starts this.

#![no_main]

use std::{env, fs, path::PathBuf, sync::LazyLock};

use deadelus_junk::{COMPLAINT_MAX_CHARS, Reader, reader};

static READER: LazyLock<Reader> = LazyLock::new(|| {
    let name = env::var("DEADELUS_FUZZ").unwrap_or_default();
    reader(&name).unwrap_or_else(|| panic!("DEADELUS_FUZZ={name:?} names no reader"))
});

libfuzzer_sys::fuzz_target!(
    init: {
        let folder = PathBuf::from(env::var_os("DEADELUS_FUZZ_CORPUS").unwrap_or_default());
        for (n, sample) in (READER.samples)().iter().enumerate() {
            let path = folder.join(format!("sample-{n}"));
            fs::write(&path, sample).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    },
    |bytes: &[u8]| {
        if let Err(complaint) = (READER.read)(bytes) {
            assert!(complaint.chars().count() <= COMPLAINT_MAX_CHARS, "{complaint}");
        }
    }
);
