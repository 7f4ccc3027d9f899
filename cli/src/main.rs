//! The process: arguments and standard streams in, exit code out.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use kr8tiv_cli::Console;

fn main() -> ExitCode {
    let (mut input, mut output, mut errors) = (io::stdin(), io::stdout(), io::stderr());
    // https://no-color.org: when it is set and not empty.
    let may_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let output_has_colours = may_colour && output.is_terminal();
    let errors_have_colours = may_colour && errors.is_terminal();
    let mut console = Console {
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        output_has_colours,
        errors_have_colours,
    };
    ExitCode::from(kr8tiv_cli::main(std::env::args_os(), &mut console) as u8)
}
