//! The modules inside the binary: without findings, in canonical form, and every example comes out as it says.

use starr::check::{Context, Embedded, Library, check};
use starr::source::Sources;

fn context() -> Context<'static> {
    Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    }
}

#[test]
fn examples_come_out_as_they_say() {
    for path in Embedded::paths() {
        let module = Embedded.module(path).unwrap();
        let checked = check(&module.name, None, module.bytes, &context());
        let program = checked
            .program
            .unwrap_or_else(|| panic!("{path}: {:?}", checked.diagnostics));
        let results = starr::eval::examples::run(&program);
        let least = match path {
            // Its checks are a module of their own.
            "std.azure" => 0,
            // These have no checks: whom to tell is a project's own, and whoever is told answers nothing.
            "std.chat" | "std.escalation" | "std.mail" | "std.pager" => 0,
            // It has few.
            "std.alertmanager" => 15,
            "std.dns" | "std.exec" | "std.github" | "std.jaeger" | "std.jwt" => 11,
            "std.status_page" => 10,
            _ => 21,
        };
        assert!(results.len() >= least, "{path} has {} examples", results.len());
        for result in results {
            assert_eq!(result.failures, Vec::<String>::new(), "{path}: {}", result.name);
        }
    }
}

#[test]
fn modules_are_written_in_the_canonical_form() {
    for path in Embedded::paths() {
        let module = Embedded.module(path).unwrap();
        let text = String::from_utf8(module.bytes.clone()).unwrap();
        let mut sources = Sources::default();
        let loaded = starr::syntax::load(&mut sources, path, None, module.bytes);
        assert_eq!(loaded.diagnostics, Vec::new(), "{path}");
        let formatted = starr::syntax::format(&loaded.file, &text);
        assert!(
            formatted == text,
            "{path} is not in canonical form: run `starr fmt` on it"
        );
    }
}
