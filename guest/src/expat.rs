//! `_expat`: XML events and errors as expat reports them, over its port to Rust.
//! `modules/pyexpat.py` makes `pyexpat` of it.

pub(crate) use _expat::module_def;

#[rustpython_vm::pymodule]
mod _expat {
    use expat::internal::parse::{
        ContentModel, ExternalEntities, Handler, HandlerSet, Parser as Expat, Status, Stop,
    };
    use rustpython_vm::builtins::{PyBaseExceptionRef, PyDict, PyStrInterned, PyType};
    use rustpython_vm::common::lock::PyMutex;
    use rustpython_vm::function::{ArgBytesLike, FuncArgs};
    use rustpython_vm::types::Constructor;
    use rustpython_vm::{Py, PyObject, PyObjectRef, PyPayload, PyResult, VirtualMachine, pyclass};

    #[pyattr]
    #[pyclass(name = "Parser", module = "_expat")]
    #[derive(PyPayload)]
    struct Parser(PyMutex<Expat>);

    impl std::fmt::Debug for Parser {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Parser")
        }
    }

    impl Constructor for Parser {
        type Args = FuncArgs;

        /// `Parser(encoding, separator, with_prefixes, foreign)`: the first two are `bytes`, or
        /// `None`. With prefixes, a name is told with the one that it has; a foreign type is looked
        /// for in documents that have none.
        fn py_new(_class: &Py<PyType>, args: FuncArgs, vm: &VirtualMachine) -> PyResult<Self> {
            type Settings = (Option<ArgBytesLike>, Option<ArgBytesLike>, bool, bool);
            let (encoding, separator, with_prefixes, foreign): Settings = args.bind(vm)?;
            let encoding = encoding.map(|encoding| encoding.borrow_buf().to_vec());
            let separator = separator.and_then(|separator| separator.borrow_buf().first().copied());
            // The salt is against documents that slow a parser down. Here they would slow down the
            // script that reads them.
            let mut parser = Expat::new(encoding.as_deref(), separator, [0; 16]);
            parser.set_return_ns_triplet(with_prefixes);
            parser.use_foreign_dtd(foreign);
            Ok(Self(PyMutex::new(parser)))
        }
    }

    #[pyclass(with(Constructor))]
    impl Parser {
        /// Parses a part of a document, and calls the handlers that `owner` has as attributes. The
        /// code of an error; 0 for none.
        #[pymethod]
        fn parse(
            zelf: &Py<Self>,
            owner: PyObjectRef,
            data: ArgBytesLike,
            is_final: bool,
            vm: &VirtualMachine,
        ) -> PyResult<u32> {
            let flag = |name: &'static str| owner.get_attr(name, vm)?.try_to_bool(vm);
            let mut events = Events {
                owner: &owner,
                vm,
                raised: None,
                intern: owner.get_attr("intern", vm)?,
                text: flag("buffer_text")?.then(String::new),
                room: owner.get_attr("buffer_size", vm)?.try_into_value(vm)?,
                ordered: flag("ordered_attributes")?,
                specified: flag("specified_attributes")?,
                often: [
                    "StartElementHandler",
                    "EndElementHandler",
                    "CharacterDataHandler",
                ]
                .map(|name| vm.ctx.intern_str(name)),
            };
            let is_set = |name: &'static str| Ok(!vm.is_none(&*owner.get_attr(name, vm)?));
            let reads_entities = is_set("ExternalEntityRefHandler")?;
            let asks_standalone = is_set("NotStandaloneHandler")?;
            let Some(mut parser) = zelf.0.try_lock() else {
                return Err(vm.new_runtime_error("the parser is parsing already"));
            };
            parser.set_handlers(HandlerSet {
                xml_decl: true,
                start_element: true,
                end_element: true,
                character_data: true,
                processing_instruction: true,
                comment: true,
                start_cdata_section: true,
                end_cdata_section: true,
                start_namespace_decl: true,
                end_namespace_decl: true,
                skipped_entity: true,
                start_doctype_decl: true,
                end_doctype_decl: true,
                entity_decl: true,
                unparsed_entity_decl: true,
                notation_decl: true,
                element_decl: true,
                attlist_decl: true,
                external_entity_ref: reads_entities,
                not_standalone: asks_standalone,
            });
            let status = parser.parse(&mut events, &data.borrow_buf(), is_final);
            events.flush();
            if let Some(raised) = events.raised {
                return Err(raised);
            }
            let Stop::Error(code) = parser.error_code();
            Ok(match status {
                Status::Error => code.to_c(),
                Status::Ok | Status::Suspended => 0,
            })
        }

        /// Sets if a token that a part ends in is read again only when much more has come.
        #[pymethod]
        fn defer(zelf: &Py<Self>, is_enabled: bool) {
            zelf.0.lock().set_reparse_deferral_enabled(is_enabled);
        }

        /// Line, column and index of the byte where the parser is; of the error, after one.
        #[pymethod]
        fn position(zelf: &Py<Self>) -> (u64, u64, i64) {
            let mut parser = zelf.0.lock();
            (
                parser.current_line_number(),
                parser.current_column_number(),
                parser.current_byte_index(),
            )
        }
    }

    /// Hands the events to the handlers. When one has raised, nothing is handed over any more.
    struct Events<'p> {
        owner: &'p PyObject,
        vm: &'p VirtualMachine,
        raised: Option<PyBaseExceptionRef>,
        /// A dict of names, so that each is one object; or `None`.
        intern: PyObjectRef,
        /// Text that has not been handed over, where it is gathered.
        text: Option<String>,
        /// The bytes of text that are gathered.
        room: usize,
        ordered: bool,
        specified: bool,
        /// The names of the handlers that are called most, which are not looked for each time.
        often: [&'static PyStrInterned; 3],
    }

    impl Events<'_> {
        fn call(
            &mut self,
            handler: &'static str,
            args: impl FnOnce(&Self) -> PyResult<Vec<PyObjectRef>>,
        ) -> Option<PyObjectRef> {
            self.call_named(self.vm.ctx.intern_str(handler), args)
        }

        fn call_named(
            &mut self,
            handler: &'static PyStrInterned,
            args: impl FnOnce(&Self) -> PyResult<Vec<PyObjectRef>>,
        ) -> Option<PyObjectRef> {
            if self.raised.is_some() {
                return None;
            }
            let called = self.owner.get_attr(handler, self.vm).and_then(|handler| {
                if self.vm.is_none(&handler) {
                    return Ok(None);
                }
                self.flush();
                handler.call(args(self)?, self.vm).map(Some)
            });
            called.unwrap_or_else(|raised| {
                self.raised = Some(raised);
                None
            })
        }

        /// Hands over the text that has been gathered.
        fn flush(&mut self) {
            if let Some(text) = self.text.as_mut().filter(|text| !text.is_empty()) {
                let text = std::mem::take(text);
                let [.., handler] = self.often;
                self.call_named(handler, |events| {
                    Ok(vec![events.vm.ctx.new_str(text).into()])
                });
            }
        }

        fn text(&self, text: &[u8]) -> PyObjectRef {
            self.vm.ctx.new_str(&*String::from_utf8_lossy(text)).into()
        }

        fn text_or_none(&self, text: Option<&[u8]>) -> PyObjectRef {
            text.map_or_else(|| self.vm.ctx.none(), |text| self.text(text))
        }

        /// A name, which is the same object each time.
        fn name(&self, name: &[u8]) -> PyResult {
            let name = self.text(name);
            let Some(names) = self.intern.downcast_ref::<PyDict>() else {
                return Ok(name);
            };
            if let Some(known) = names.get_item_opt(&*name, self.vm)? {
                return Ok(known);
            }
            names.set_item(&*name, name.clone(), self.vm)?;
            Ok(name)
        }

        fn attributes(&self, attributes: &[(&[u8], &[u8])]) -> PyResult {
            if self.ordered {
                let mut items = Vec::with_capacity(attributes.len() * 2);
                for (name, value) in attributes {
                    items.extend([self.name(name)?, self.text(value)]);
                }
                return Ok(self.vm.ctx.new_list(items).into());
            }
            let items = self.vm.ctx.new_dict();
            for (name, value) in attributes {
                items.set_item(&*self.name(name)?, self.text(value), self.vm)?;
            }
            Ok(items.into())
        }

        /// A content model as CPython has it: type, quantifier, name, children.
        fn model(&self, model: &ContentModel, node: usize) -> PyResult {
            let Some(node) = model.nodes.get(node) else {
                return Ok(self.vm.ctx.none());
            };
            let children = node.children.clone().map(|child| {
                let place = "in the content model of an element";
                self.vm.with_recursion(place, || self.model(model, child))
            });
            let children = self.vm.ctx.new_tuple(children.collect::<PyResult<_>>()?);
            let (kind, quant) = (node.kind as i32, node.quant as i32);
            let name = self.text_or_none(node.name.as_deref());
            Ok(self.vm.new_tuple((kind, quant, name, children)).into())
        }
    }

    impl Handler for Events<'_> {
        fn xml_decl(&mut self, version: Option<&[u8]>, encoding: Option<&[u8]>, standalone: i32) {
            self.call("XmlDeclHandler", |events| {
                Ok(vec![
                    events.text_or_none(version),
                    events.text_or_none(encoding),
                    events.vm.ctx.new_int(standalone).into(),
                ])
            });
        }

        fn start_element(&mut self, name: &[u8], attributes: &[(&[u8], &[u8])], specified: i32) {
            let [handler, ..] = self.often;
            self.call_named(handler, |events| {
                let given = if events.specified {
                    usize::try_from(specified).unwrap_or(0) / 2
                } else {
                    attributes.len()
                };
                let attributes = attributes.get(..given).unwrap_or(attributes);
                Ok(vec![events.name(name)?, events.attributes(attributes)?])
            });
        }

        fn end_element(&mut self, name: &[u8]) {
            let [_, handler, _] = self.often;
            self.call_named(handler, |events| Ok(vec![events.name(name)?]));
        }

        fn character_data(&mut self, data: &[u8]) {
            let gathered = self.text.as_ref().map(String::len);
            if gathered.is_some_and(|gathered| gathered + data.len() > self.room) {
                self.flush();
            }
            match &mut self.text {
                Some(text) if data.len() <= self.room => {
                    text.push_str(&String::from_utf8_lossy(data));
                }
                _ => {
                    self.call("CharacterDataHandler", |events| Ok(vec![events.text(data)]));
                }
            }
        }

        fn processing_instruction(&mut self, target: &[u8], data: &[u8]) {
            self.call("ProcessingInstructionHandler", |events| {
                Ok(vec![events.name(target)?, events.text(data)])
            });
        }

        fn comment(&mut self, data: &[u8]) {
            self.call("CommentHandler", |events| Ok(vec![events.text(data)]));
        }

        fn start_cdata_section(&mut self) {
            self.call("StartCdataSectionHandler", |_| Ok(Vec::new()));
        }

        fn end_cdata_section(&mut self) {
            self.call("EndCdataSectionHandler", |_| Ok(Vec::new()));
        }

        fn start_namespace_decl(&mut self, prefix: Option<&[u8]>, uri: Option<&[u8]>) {
            self.call("StartNamespaceDeclHandler", |events| {
                Ok(vec![events.text_or_none(prefix), events.text_or_none(uri)])
            });
        }

        fn end_namespace_decl(&mut self, prefix: Option<&[u8]>) {
            self.call("EndNamespaceDeclHandler", |events| {
                Ok(vec![events.text_or_none(prefix)])
            });
        }

        fn skipped_entity(&mut self, name: &[u8], is_parameter: bool) {
            let skipped = self.call("SkippedEntityHandler", |events| {
                let is_parameter = events.vm.ctx.new_bool(is_parameter);
                Ok(vec![events.text(name), is_parameter.into()])
            });
            if skipped.is_some() {
                return;
            }
            for handler in ["DefaultHandler", "DefaultHandlerExpand"] {
                self.call(handler, |events| {
                    Ok(vec![events.text(&[b"&", name, b";"].concat())])
                });
            }
        }

        fn external_entity_ref(
            &mut self,
            _parsers: &mut ExternalEntities<'_>,
            context: Option<&[u8]>,
            base: Option<&[u8]>,
            system_id: Option<&[u8]>,
            public_id: Option<&[u8]>,
        ) -> bool {
            let answer = self.call("ExternalEntityRefHandler", |events| {
                let args = [context, base, system_id, public_id];
                Ok(args.map(|arg| events.text_or_none(arg)).into())
            });
            answer.is_some_and(|answer| answer.try_to_bool(self.vm).unwrap_or(false))
        }

        fn not_standalone(&mut self) -> bool {
            let answer = self.call("NotStandaloneHandler", |_| Ok(Vec::new()));
            answer.is_some_and(|answer| answer.try_to_bool(self.vm).unwrap_or(false))
        }

        fn start_doctype_decl(
            &mut self,
            name: &[u8],
            system_id: Option<&[u8]>,
            public_id: Option<&[u8]>,
            has_internal_subset: bool,
        ) {
            self.call("StartDoctypeDeclHandler", |events| {
                Ok(vec![
                    events.name(name)?,
                    events.text_or_none(system_id),
                    events.text_or_none(public_id),
                    events.vm.ctx.new_int(i32::from(has_internal_subset)).into(),
                ])
            });
        }

        fn end_doctype_decl(&mut self) {
            self.call("EndDoctypeDeclHandler", |_| Ok(Vec::new()));
        }

        fn entity_decl(
            &mut self,
            name: &[u8],
            is_parameter: bool,
            value: Option<&[u8]>,
            base: Option<&[u8]>,
            system_id: Option<&[u8]>,
            public_id: Option<&[u8]>,
            notation: Option<&[u8]>,
        ) {
            self.call("EntityDeclHandler", |events| {
                let is_parameter = events.vm.ctx.new_int(i32::from(is_parameter));
                let mut args = vec![events.name(name)?, is_parameter.into()];
                let texts = [value, base, system_id, public_id, notation];
                args.extend(texts.map(|text| events.text_or_none(text)));
                Ok(args)
            });
        }

        fn unparsed_entity_decl(
            &mut self,
            name: &[u8],
            base: Option<&[u8]>,
            system_id: Option<&[u8]>,
            public_id: Option<&[u8]>,
            notation: &[u8],
        ) {
            self.call("UnparsedEntityDeclHandler", |events| {
                let mut args = vec![events.name(name)?];
                args.extend([base, system_id, public_id].map(|text| events.text_or_none(text)));
                args.push(events.name(notation)?);
                Ok(args)
            });
        }

        fn notation_decl(
            &mut self,
            name: &[u8],
            base: Option<&[u8]>,
            system_id: Option<&[u8]>,
            public_id: Option<&[u8]>,
        ) {
            self.call("NotationDeclHandler", |events| {
                let mut args = vec![events.name(name)?];
                args.extend([base, system_id, public_id].map(|text| events.text_or_none(text)));
                Ok(args)
            });
        }

        fn element_decl(&mut self, name: &[u8], model: &ContentModel) {
            self.call("ElementDeclHandler", |events| {
                Ok(vec![events.name(name)?, events.model(model, 0)?])
            });
        }

        fn attlist_decl(
            &mut self,
            element: &[u8],
            attribute: &[u8],
            kind: &[u8],
            default: Option<&[u8]>,
            is_required: bool,
        ) {
            self.call("AttlistDeclHandler", |events| {
                Ok(vec![
                    events.name(element)?,
                    events.name(attribute)?,
                    events.text(kind),
                    events.text_or_none(default),
                    events.vm.ctx.new_int(i32::from(is_required)).into(),
                ])
            });
        }
    }
}
