//! Addresses of streams: what is no URI is a path as it stands; what one is split into holds nothing that was not there.

use shim::io::Address;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = Address::parse(text);
    if text.is_empty() {
        assert!(matches!(parsed, Ok(Address::Null)));
    } else if !text.contains("://") {
        assert!(matches!(&parsed, Ok(Address::Path(path)) if path.as_os_str() == text), "{parsed:?}");
    }
    match parsed {
        Ok(Address::Logger(logger)) => {
            assert!(logger.program.is_absolute(), "{logger:?}");
            assert_eq!(logger.arguments.len() % 2, 0, "{logger:?}");
        }
        Ok(Address::File(path)) => assert!(path.is_absolute(), "{}", path.display()),
        Ok(_) => {}
        Err(error) => assert!(error.to_string().contains(&format!("{text:?}")), "{error}"),
    }
    assert!(!matches!(Address::parse_input(text), Ok(Address::File(_) | Address::Logger(_))));
}
