//! What a program is made of.

use std::rc::Rc;

#[derive(Debug)]
pub enum Expr {
    Number(f64),
    Text(Rc<[u8]>),
    Regex(Rc<[u8]>),
    Global(usize),
    Local(usize),
    Field(Box<Expr>),
    /// An element: the array and its keys.
    Index(Array, Vec<Expr>),
    Assign(Box<Expr>, Option<Op>, Box<Expr>),
    /// Before or after, and by how much.
    Step {
        target: Box<Expr>,
        by: f64,
        before: bool,
    },
    Binary(Op, Box<Expr>, Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Plus(Box<Expr>),
    Match(Box<Expr>, Box<Expr>, bool),
    In(Vec<Expr>, Array),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Call(usize, Vec<Expr>),
    Builtin(String, Vec<Expr>),
    Getline {
        from: From,
        target: Option<Box<Expr>>,
    },
    /// Keys in parentheses, before `in` or as arguments of `print`.
    Group(Vec<Expr>),
}

#[derive(Debug)]
pub enum From {
    Main,
    File(Box<Expr>),
    Command(Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Array {
    Global(usize),
    Local(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Less,
    LessOrSame,
    Same,
    Other,
    More,
    MoreOrSame,
}

#[derive(Debug)]
pub enum Stmt {
    Expr(Expr),
    Print(Vec<Expr>, Option<(Way, Expr)>),
    Printf(Vec<Expr>, Option<(Way, Expr)>),
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    While(Expr, Box<Stmt>),
    Do(Box<Stmt>, Expr),
    For(Option<Box<Stmt>>, Option<Expr>, Option<Box<Stmt>>, Box<Stmt>),
    ForIn(Expr, Array, Box<Stmt>),
    Block(Vec<Stmt>),
    Next,
    NextFile,
    Exit(Option<Expr>),
    Return(Option<Expr>),
    Break,
    Continue,
    Delete(Array, Option<Vec<Expr>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    File,
    Append,
    Pipe,
}

#[derive(Debug)]
pub enum Pattern {
    Always,
    If(Expr),
    Range(Expr, Expr),
}

#[derive(Debug, Default)]
pub struct Function {
    pub params: Vec<String>,
    pub body: Vec<Stmt>,
}

#[derive(Debug, Default)]
pub struct Program {
    pub begin: Vec<Vec<Stmt>>,
    pub end: Vec<Vec<Stmt>>,
    /// Without a body, the line is printed.
    pub rules: Vec<(Pattern, Option<Vec<Stmt>>)>,
    pub functions: Vec<Function>,
    pub globals: Vec<String>,
}
