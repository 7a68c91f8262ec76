// Uses Rust's standard library, TLS through the system's libssl, time zones of libc and the payload; prints one line of JSON.
use std::env::var;
use std::ffi::{c_char, c_int, c_long, c_void, CString};
use std::process::Command;
use std::ptr::null;

extern "C" {
    fn abs(number: c_int) -> c_int;
    fn TLS_client_method() -> *const c_void;
    fn SSL_CTX_new(method: *const c_void) -> *mut c_void;
    fn SSL_CTX_load_verify_locations(context: *mut c_void, file: *const c_char, folder: *const c_char) -> c_int;
    fn SSL_CTX_set_default_verify_paths(context: *mut c_void) -> c_int;
    fn SSL_CTX_set_verify(context: *mut c_void, mode: c_int, callback: *const c_void);
    fn BIO_new_ssl_connect(context: *mut c_void) -> *mut c_void;
    fn BIO_ctrl(bio: *mut c_void, command: c_int, number: c_long, text: *const c_char) -> c_long;
    fn BIO_read(bio: *mut c_void, buffer: *mut c_void, size: c_int) -> c_int;
    fn BIO_write(bio: *mut c_void, buffer: *const c_void, size: c_int) -> c_int;
}

const VERIFY_PEER: c_int = 1;
const SET_CONNECT: c_int = 100;
const DO_HANDSHAKE: c_int = 101;

/// The body of the answer; nothing when the connection or its certificate is refused.
fn fetch(address: &str, authority: Option<&str>) -> Option<String> {
    let address = CString::new(address).unwrap();
    let authority = authority.map(|path| CString::new(path).unwrap());
    let request = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let mut answer = vec![];
    unsafe {
        let context = SSL_CTX_new(TLS_client_method());
        match &authority {
            Some(path) => SSL_CTX_load_verify_locations(context, path.as_ptr(), null()),
            None => SSL_CTX_set_default_verify_paths(context),
        };
        SSL_CTX_set_verify(context, VERIFY_PEER, null());
        let bio = BIO_new_ssl_connect(context);
        BIO_ctrl(bio, SET_CONNECT, 0, address.as_ptr());
        if BIO_ctrl(bio, DO_HANDSHAKE, 0, null()) <= 0 {
            return None;
        }
        BIO_write(bio, request.as_ptr().cast(), request.len() as c_int);
        let mut chunk = [0u8; 1024];
        loop {
            let got = BIO_read(bio, chunk.as_mut_ptr().cast(), chunk.len() as c_int);
            if got <= 0 {
                break;
            }
            answer.extend_from_slice(&chunk[..got as usize]);
        }
    }
    String::from_utf8(answer).ok()?.split_once("\r\n\r\n").map(|(_, body)| body.to_string())
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).env("TZ", "America/New_York").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

fn main() {
    let payload = std::fs::read_to_string(var("PAYLOAD_FILE").unwrap()).unwrap();
    let (text, rest) = payload.split_once('\n').unwrap();
    let mut numbers: Vec<i32> = rest.split_whitespace().map(|word| word.parse().unwrap()).collect();
    numbers.sort();
    let address = format!("localhost:{}", var("TEST_PORT").unwrap());
    let version = run("rustc", &["--version"]);
    println!(
        r#"{{"version":"{}","text":"{}","length":{},"sorted":{:?},"sum":{},"native":{},"tls":"{}","refused":{},"time":"{}"}}"#,
        version.split(' ').nth(1).unwrap(),
        text,
        text.chars().count(),
        numbers,
        numbers.iter().sum::<i32>(),
        unsafe { abs(-42) },
        fetch(&address, Some(&var("TEST_CA").unwrap())).unwrap(),
        fetch(&address, None).is_none(),
        run("date", &["-d", "@1719835200", "+%Y-%m-%d %H:%M"]),
    );
}
