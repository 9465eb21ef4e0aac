//! A filter compiled, and run over the input.

use crate::options::{Input, Options};
use crate::warn;
use crate::write::Shape;
use bstr::ByteSlice;
use jaq_core::data::HasLut;
use jaq_core::load::{Arena, File, Loader, import};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, DataT, Lut, Vars};
use jaq_json::{Val, read};
use jaq_std::input::{HasInputs, Inputs, RcIter};

/// How a run ended.
pub enum Ended {
    Well,
    /// There was nothing to run over.
    NoInput,
    /// The filter failed at least once.
    Failed,
    /// The input is no JSON.
    BadInput,
    /// `halt` with its status.
    Halted(i32),
}

/// What a running filter reaches.
struct Kind;

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = &'a Data<'a>;
}

struct Data<'a> {
    lut: &'a Lut<Kind>,
    inputs: Inputs<'a, Val>,
}

impl<'a> HasLut<'a, Kind> for &'a Data<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        self.lut
    }
}

impl<'a> HasInputs<'a, Val> for &'a Data<'a> {
    fn inputs(&self) -> Inputs<'a, Val> {
        self.inputs
    }
}

/// What jq 1.6 has besides.
const DEFINITIONS: &str = include_str!("defs.jq");

/// A value's text: of a string itself, else as it is written.
fn text_of(value: &Val, json: bool) -> Val {
    let mut text = Vec::new();
    let shape = Shape { indent: None, raw: !json, joined: true, ..Shape::default() };
    // Writing to memory does not fail.
    let _ = shape.write(&mut text, value);
    Val::utf8_str(text)
}

fn texts() -> impl Iterator<Item = Fun<Kind>> {
    let plain: jaq_core::native::Filter<jaq_core::RunPtr<Kind>> =
        ("plain", jaq_core::native::v(0), |cv| Box::new(std::iter::once(Ok(text_of(&cv.1, false)))));
    let json: jaq_core::native::Filter<jaq_core::RunPtr<Kind>> =
        ("json", jaq_core::native::v(0), |cv| Box::new(std::iter::once(Ok(text_of(&cv.1, true)))));
    [plain, json].into_iter().map(jaq_core::native::run::<Kind>)
}

fn functions() -> impl Iterator<Item = Fun<Kind>> {
    let inputs = jaq_std::input::funs::<Kind>().into_vec().into_iter().map(jaq_core::native::run::<Kind>);
    jaq_core::funs::<Kind>()
        .chain(jaq_std::funs::<Kind>())
        .chain(jaq_json::funs())
        .chain(inputs)
        .chain(texts())
}

/// A compiled filter with its variables.
pub struct Filter {
    filter: jaq_core::Filter<Kind>,
    vars: Vec<Val>,
}

impl Filter {
    /// Compiles; the errors are in words.
    pub fn compile(options: &Options) -> Result<Filter, Vec<String>> {
        let mut names: Vec<String> = options.named.iter().map(|(name, _)| format!("${name}")).collect();
        let mut vars: Vec<Val> = options.named.iter().map(|(_, value)| value.clone()).collect();
        let field = |name: &str, value: Val| (Val::utf8_str(name.as_bytes().to_vec()), value);
        let named = options.named.iter().map(|(name, value)| field(name, value.clone())).collect();
        let positional = options.positional.iter().cloned().collect();
        names.extend(["$ARGS".into(), "$ENV".into()]);
        vars.push(Val::obj(
            [field("positional", positional), field("named", Val::obj(named))].into_iter().collect(),
        ));
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os()
            .map(|(name, value)| field(&text(name), Val::utf8_str(text(value).into_bytes())));
        vars.push(Val::obj(environment.collect()));
        let arena = Arena::default();
        let own = jaq_core::load::parse(DEFINITIONS, |parser| parser.defs()).into_iter().flatten();
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
        let code = with_texts(&options.filter);
        let code = File { path: (), code: code.as_str() };
        let line = |what: String| vec![format!("{what} at <top-level>, line 1:\n{}", options.filter)];
        let modules = Loader::new(definitions)
            .load(&arena, code)
            .map_err(|_| line("syntax error (Unix shell quoting issues?)".into()))?;
        import(&modules, |_| Err("modules are not known here".into()))
            .map_err(|_| line("no module".into()))?;
        let compiled = Compiler::default()
            .with_funs(functions())
            .with_global_vars(names.iter().map(String::as_str))
            .compile(modules);
        let filter = compiled.map_err(|errors| {
            let undefined = errors.iter().flat_map(|(_, errors)| errors);
            undefined.flat_map(|(name, kind)| line(undefined_name(name, kind))).collect::<Vec<String>>()
        })?;
        Ok(Filter { filter, vars })
    }

    /// Runs over the input; each output is given on.
    pub fn run(&self, options: &Options, text: &[u8], with: &mut dyn FnMut(&Val)) -> Ended {
        let inputs = RcIter::new(Box::new(values(options, text)));
        let data = Data { lut: &self.filter.lut, inputs: &inputs };
        let context = Ctx::<Kind>::new(&data, Vars::new(self.vars.clone()));
        let mut ended = Ended::Well;
        let mut one = |value: Val| -> Option<i32> {
            // The status is that of the last value.
            ended = Ended::Well;
            for output in self.filter.id.run((context.clone(), value)) {
                let error = match output {
                    Ok(output) => {
                        with(&output);
                        continue;
                    }
                    Err(error) => error,
                };
                match error.get_err() {
                    Ok(error) => {
                        warn(format!("jq: error (at <stdin>:1): {error}"));
                        ended = Ended::Failed;
                    }
                    Err(other) => match other.get_halt() {
                        Ok(status) => return Some(status),
                        Err(_) => {
                            warn("jq: error (at <stdin>:1): break");
                            ended = Ended::Failed;
                        }
                    },
                }
                break;
            }
            None
        };
        if options.input == Input::None {
            return match one(Val::Null) {
                Some(status) => Ended::Halted(status),
                None => ended,
            };
        }
        let mut ran = false;
        for value in &inputs {
            ran = true;
            match value {
                Ok(value) => {
                    if let Some(status) = one(value) {
                        return Ended::Halted(status);
                    }
                }
                Err(error) => {
                    warn(format!("parse error: {error}"));
                    return Ended::BadInput;
                }
            }
        }
        if ran { ended } else { Ended::NoInput }
    }
}

fn undefined_name(name: &str, kind: &jaq_core::compile::Undefined) -> String {
    use jaq_core::compile::Undefined;
    match kind {
        Undefined::Filter(arity) => format!("{name}/{arity} is not defined"),
        _ => format!("{name} is not defined"),
    }
}

/// Marks strings with inserted values as `@text`, so that numbers in them are written as jq writes them.
fn with_texts(code: &str) -> String {
    let bytes = code.as_bytes();
    let mut out = String::with_capacity(code.len());
    // Where the open strings began in the output, and how many brackets are open inside their insertion.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut inside = false;
    let mut at = 0;
    for (start, c) in code.char_indices() {
        if start < at {
            continue;
        }
        at = start + c.len_utf8();
        match (inside, c) {
            (true, '\\') => {
                let next = bytes.get(at).copied().unwrap_or(b' ');
                out.push(c);
                if next == b'(' {
                    let begun = open.last_mut().map(|(begun, _)| begun);
                    if let Some(begun) = begun
                        && !is_formatted(&out[..*begun])
                    {
                        out.insert_str(*begun, "@text ");
                        *begun += "@text ".len();
                    }
                    inside = false;
                    open.extend(Some((usize::MAX, 0)));
                }
                if next.is_ascii() {
                    out.push(next as char);
                    at += 1;
                }
            }
            (true, '"') => {
                out.push(c);
                open.pop();
                inside = false;
            }
            (true, c) => out.push(c),
            (false, '"') => {
                open.push((out.len(), 0));
                out.push(c);
                inside = true;
            }
            (false, '#') => {
                let end = code[start..].find('\n').map_or(code.len(), |end| start + end);
                out.push_str(&code[start..end]);
                at = end;
            }
            (false, c) => {
                match (c, open.last_mut()) {
                    ('(', Some((usize::MAX, depth))) => *depth += 1,
                    (')', Some((usize::MAX, 0))) => {
                        open.pop();
                        inside = true;
                    }
                    (')', Some((usize::MAX, depth))) => *depth -= 1,
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    out
}

/// Whether a string that begins behind this text has a format, or is the name of a field.
fn is_formatted(before: &str) -> bool {
    let before = before.trim_end();
    let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '@').next().unwrap_or_default();
    word.starts_with('@') || before.ends_with('.')
}

/// The input as values.
fn values<'a>(options: &Options, text: &'a [u8]) -> Box<dyn Iterator<Item = Result<Val, String>> + 'a> {
    let slurped = options.input == Input::Slurped;
    match (options.raw, slurped) {
        (true, true) => Box::new(std::iter::once(Ok(Val::utf8_str(text.to_vec())))),
        (true, false) => Box::new(text.lines().map(|line| Ok(Val::utf8_str(line.to_vec())))),
        (false, false) => {
            Box::new(read::parse_many(text).map(|value| value.map_err(|error| error.to_string())))
        }
        (false, true) => {
            let all: Result<Val, _> =
                read::parse_many(text).collect::<Result<Vec<Val>, _>>().map(|all| all.into_iter().collect());
            Box::new(std::iter::once(all.map_err(|error| error.to_string())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_texts;

    #[test]
    fn only_strings_with_insertions_are_marked() {
        for (code, want) in [
            (r#""a""#, r#""a""#),
            (r#""a\(1)""#, r#"@text "a\(1)""#),
            (r#"@sh "a\(1)""#, r#"@sh "a\(1)""#),
            (r#"{"a\("b\((1))" + "c")d": 1}"#, r#"{@text "a\(@text "b\((1))" + "c")d": 1}"#),
            (r#"."a\(1)" # "x\(1)"#, r#"."a\(1)" # "x\(1)"#),
            (r#""\(1)=\(2)""#, r#"@text "\(1)=\(2)""#),
            (r#""\\(1)""#, r#""\\(1)""#),
        ] {
            assert_eq!(with_texts(code), want);
        }
    }
}
