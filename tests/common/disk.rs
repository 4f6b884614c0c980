//! A disk that hangs: while a file is there, no sync of the engine comes back. A library laid before the C library's
//! waits in its place (SAFETY L6).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
#![no_std]
#[link(name = "c")]
unsafe extern "C" {
    fn access(path: *const u8, mode: i32) -> i32;
    fn usleep(us: u32) -> i32;
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
fn wait() -> i32 {
    while unsafe { access(HANG.as_ptr(), 0) } == 0 {
        unsafe { usleep(10_000) };
    }
    0
}
#[unsafe(no_mangle)]
extern "C" fn fdatasync(_: i32) -> i32 {
    wait()
}
#[unsafe(no_mangle)]
extern "C" fn fsync(_: i32) -> i32 {
    wait()
}
"#;

pub struct HangingDisk {
    /// For `LD_PRELOAD`.
    pub library: PathBuf,
    file: PathBuf,
}

impl HangingDisk {
    /// Makes the library in `dir`; nothing hangs yet.
    pub fn new(dir: &Path) -> Self {
        let (source, library, file) = (dir.join("disk.rs"), dir.join("disk.so"), dir.join("hang"));
        let hang = format!("const HANG: &[u8] = b\"{}\\0\";", file.display());
        fs::write(&source, format!("{SOURCE}{hang}")).unwrap();
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-C", "panic=abort", "-o"]);
        let output = rustc.arg(&library).arg(&source).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { library, file }
    }

    pub fn hang(&self) {
        fs::write(&self.file, "").unwrap();
    }

    pub fn go_on(&self) {
        fs::remove_file(&self.file).unwrap();
    }
}
