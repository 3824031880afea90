//! LeanBERT from Rust, without crates: the functions of leanbert.h by `extern`, and a handle that frees itself.
//!
//!     rustc -O leanbert.rs -L native=/usr/local/lib -o leanbert-rs
//!     ./leanbert-rs BUNDLE "Operating profit rose to EUR 13.1 mn."

use std::ffi::{c_char, c_int, CStr, CString};
use std::process::ExitCode;
use std::ptr::{null, null_mut};

#[repr(C)]
struct RawModel {
    _private: [u8; 0],
}

#[link(name = "leanbert")]
extern "C" {
    fn leanbert_abi_version() -> u32;
    fn leanbert_open(
        directory: *const c_char,
        options: *const u32,
        model: *mut *mut RawModel,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
    fn leanbert_close(model: *mut RawModel);
    fn leanbert_label_count(model: *const RawModel) -> usize;
    fn leanbert_label(model: *const RawModel, label: usize) -> *const c_char;
    fn leanbert_classify(
        model: *const RawModel,
        options: *const u32,
        count: usize,
        texts: *const *const u8,
        sizes: *const usize,
        scores: *mut f32,
        scores_size: usize,
        cut: *mut u8,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
}

const ABI_VERSION: u32 = 1;
const MESSAGE_SIZE: usize = 512;

/// What the library says of a call that failed.
fn check(status: c_int, message: &[c_char; MESSAGE_SIZE]) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    // The library ends its line with NUL.
    Err(unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy().into_owned())
}

/// An open classifier. Any number of threads may use it at once.
pub struct Model(*mut RawModel);

unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe { leanbert_close(self.0) }
    }
}

impl Model {
    pub fn open(directory: &str) -> Result<Model, String> {
        if unsafe { leanbert_abi_version() } != ABI_VERSION {
            return Err("libleanbert has another interface".to_string());
        }
        let path = CString::new(directory).map_err(|error| error.to_string())?;
        let (mut model, mut message) = (null_mut(), [0; MESSAGE_SIZE]);
        let status =
            unsafe { leanbert_open(path.as_ptr(), null(), &mut model, message.as_mut_ptr(), MESSAGE_SIZE) };
        check(status, &message).map(|()| Model(model))
    }

    pub fn labels(&self) -> Vec<String> {
        (0..unsafe { leanbert_label_count(self.0) })
            .map(|i| unsafe { CStr::from_ptr(leanbert_label(self.0, i)) }.to_string_lossy().into_owned())
            .collect()
    }

    /// The scores of all labels, a row for each text. Rust's strings need no NUL: their sizes are given.
    pub fn classify(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        let pointers: Vec<*const u8> = texts.iter().map(|text| text.as_ptr()).collect();
        let sizes: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        let labels = unsafe { leanbert_label_count(self.0) };
        let mut scores = vec![0f32; texts.len() * labels];
        let mut message = [0; MESSAGE_SIZE];
        let status = unsafe {
            leanbert_classify(
                self.0,
                null(),
                texts.len(),
                pointers.as_ptr(),
                sizes.as_ptr(),
                scores.as_mut_ptr(),
                scores.len(),
                null_mut(),
                message.as_mut_ptr(),
                MESSAGE_SIZE,
            )
        };
        check(status, &message)?;
        Ok(scores.chunks(labels.max(1)).map(<[f32]>::to_vec).collect())
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let [_, bundle, texts @ ..] = arguments else {
        return Err("usage: leanbert-rs BUNDLE TEXT...".to_string());
    };
    let model = Model::open(bundle)?;
    let labels = model.labels();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (text, scores) in texts.iter().zip(model.classify(&texts)?) {
        let line: Vec<String> = labels.iter().zip(&scores).map(|(label, score)| format!("{label} {score}")).collect();
        println!("{text}: {}", line.join("  "));
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&std::env::args().collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("leanbert-rs: {line}");
            ExitCode::FAILURE
        }
    }
}
