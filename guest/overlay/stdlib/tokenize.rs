//! Crate: rustpython-stdlib 0.6.0
//! File: src/_tokenize.rs
//! Item: _tokenize::<PyTokenizerIter as IterNext>::next = 181ac3a952f528f8
//! Test: tests/python/tokenizing.py
//!
//! Reason: tokenizing took time with the square of the source, 2.5 s for 4,000 lines, and a character beyond ASCII at the end of
//! a source panicked.
//!
//! Upstream: tokenize copies all tokens for each one, and panics in the middle of a character
//!
//! `TokenizerIter::next` clones its state, source and tokens included, for each token. `emit_next_token` asks for the line at
//! `source.len() - 1`, which may be in the middle of a character: `list(tokenize._generate_tokens_from_c_tokenizer(
//! io.StringIO("€").readline))` panics.

mod _tokenize {
    impl IterNext for PyTokenizerIter {
        fn next(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<PyIterReturn> {
            // Nobody else has it meanwhile, and after an error there is no more.
            let mut state = TokenizerState {
                phase: TokenizerPhase::Done,
            };
            core::mem::swap(&mut *zelf.state.write(), &mut state);
            if let TokenizerPhase::Reading { source } = &mut state.phase {
                let mut source = core::mem::take(source);
                loop {
                    let line = zelf.readline(vm)?;
                    if line.is_empty() {
                        break;
                    }
                    source.push_str(&line);
                }
                // The line of the last byte is asked for.
                if !zelf.extra_tokens && !source.is_char_boundary(source.len().saturating_sub(1)) {
                    source.push('\n');
                }
                let need_implicit_nl = !source.ends_with('\n');
                let parsed = parse_unchecked_source(&source, PySourceType::Python);
                state.phase = TokenizerPhase::Yielding {
                    tokens: parsed.tokens().iter().copied().collect(),
                    errors: parsed.errors().to_vec(),
                    index: 0,
                    line_index: LineIndex::from_source_text(&source),
                    source,
                    need_implicit_nl,
                    pending_fstring_parts: Vec::new(),
                    pending_empty_fstring_middle: None,
                };
            }
            if let TokenizerPhase::Done = state.phase {
                return Ok(PyIterReturn::StopIteration(None));
            }
            let result = emit_next_token(&mut state, zelf.extra_tokens, vm);
            if result.is_ok() {
                *zelf.state.write() = state;
            }
            result
        }
    }
}
