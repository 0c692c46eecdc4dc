//! `_wardian_sheets`: spreadsheets as rows of values, read and written. `library/wardian/sheets.py`
//! makes a module of it.

pub(crate) use _wardian_sheets::module_def;

#[rustpython_vm::pymodule]
mod _wardian_sheets {
    use std::io::Cursor;
    use std::sync::Arc;

    use calamine::{Data, ExcelDateTime, Reader as _, Sheets, open_workbook_auto_from_rs};
    use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
    use rustpython_vm::builtins::{
        PyBytesRef, PyFloat, PyInt, PyList, PyListRef, PyStr, PyStrRef, PyTuple,
    };
    use rustpython_vm::function::ArgBytesLike;
    use rustpython_vm::{AsObject as _, PyObject, PyObjectRef, PyResult, VirtualMachine};

    /// Integers up to here are exact as floating-point numbers, which is what a cell holds.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    type Book = Sheets<Cursor<Arc<[u8]>>>;

    fn open(data: &ArgBytesLike, vm: &VirtualMachine) -> PyResult<Book> {
        let bytes: Arc<[u8]> = data.borrow_buf().to_vec().into();
        open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|_| {
            vm.new_value_error(
                "this is no spreadsheet: XLSX, XLSM, XLSB, XLS and ODS can be read, without a password",
            )
        })
    }

    /// The names of the sheets.
    #[pyfunction]
    fn names(data: ArgBytesLike, vm: &VirtualMachine) -> PyResult<Vec<PyObjectRef>> {
        let names = open(&data, vm)?.sheet_names();
        Ok(names
            .into_iter()
            .map(|name| vm.ctx.new_str(name).into())
            .collect())
    }

    /// The rows of some sheets, in the order of their names.
    #[pyfunction]
    fn read(
        data: ArgBytesLike,
        wanted: Vec<PyStrRef>,
        vm: &VirtualMachine,
    ) -> PyResult<Vec<PyObjectRef>> {
        let mut book = open(&data, vm)?;
        let dates = vm.import("datetime", 0)?;
        let mut sheets = Vec::new();
        for name in wanted {
            let name = name.to_string_lossy();
            let range = book.worksheet_range(&name).map_err(|error| {
                vm.new_value_error(format!("the sheet {name:?} can't be read: {error}"))
            })?;
            let mut rows = Vec::with_capacity(range.height());
            for row in range.rows() {
                let cells = row.iter().map(|cell| object(cell, &dates, vm));
                rows.push(vm.ctx.new_list(cells.collect::<PyResult<_>>()?).into());
            }
            sheets.push(vm.ctx.new_list(rows).into());
        }
        Ok(sheets)
    }

    fn object(cell: &Data, dates: &PyObjectRef, vm: &VirtualMachine) -> PyResult {
        let text = |text: &str| vm.ctx.new_str(text).into();
        Ok(match cell {
            Data::Empty => vm.ctx.none(),
            Data::Int(number) => vm.ctx.new_int(*number).into(),
            // A cell holds no integers.
            Data::Float(number) if number.fract() == 0.0 && number.abs() < EXACT => {
                vm.ctx.new_int(*number as i64).into()
            }
            Data::Float(number) => vm.ctx.new_float(*number).into(),
            Data::Bool(is_true) => vm.ctx.new_bool(*is_true).into(),
            Data::String(words) => text(words),
            Data::Error(error) => text(&error.to_string()),
            Data::DateTime(time) => return date(time, dates, vm),
            Data::DateTimeIso(iso) => {
                let class = dates.get_attr("datetime", vm)?;
                let read = vm.call_method(&class, "fromisoformat", (iso.as_str(),));
                read.unwrap_or_else(|_| text(iso))
            }
            Data::DurationIso(iso) => match seconds(iso) {
                Some(seconds) => {
                    let class = dates.get_attr("timedelta", vm)?;
                    class.call((0, seconds), vm)?
                }
                None => text(iso),
            },
        })
    }

    fn date(time: &ExcelDateTime, dates: &PyObjectRef, vm: &VirtualMachine) -> PyResult {
        let days = time.as_f64();
        if time.is_duration() {
            return dates.get_attr("timedelta", vm)?.call((days,), vm);
        }
        let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
        let microsecond = u32::from(milli) * 1000;
        let made = if (0.0..1.0).contains(&days) {
            let class = dates.get_attr("time", vm)?;
            class.call((hour, minute, second, microsecond), vm)
        } else {
            let class = dates.get_attr("datetime", vm)?;
            let parts = [
                u32::from(year),
                month.into(),
                day.into(),
                hour.into(),
                minute.into(),
                second.into(),
                microsecond,
            ];
            let parts = parts.map(|part| vm.ctx.new_int(part).into());
            class.call(parts.to_vec(), vm)
        };
        // A number that is called a date, and is none.
        made.or_else(|_| Ok(vm.ctx.new_float(days).into()))
    }

    /// The seconds of a duration such as PT10H05M30S, as ODS has it.
    fn seconds(iso: &str) -> Option<f64> {
        let mut rest = iso.strip_prefix("PT")?;
        let mut seconds = 0.0;
        while let Some(end) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
            let (number, unit) = rest.split_at(end);
            let unit_seconds = match unit.as_bytes()[0] {
                b'H' => 3600.0,
                b'M' => 60.0,
                b'S' => 1.0,
                _ => return None,
            };
            seconds += number.parse::<f64>().ok()? * unit_seconds;
            rest = &unit[1..];
        }
        rest.is_empty().then_some(seconds)
    }

    /// Writes sheets of those names as XLSX, each a list of rows. A cell is `None`, a bool, a
    /// number, a text, or a number with the format that shows it.
    #[pyfunction]
    fn write(
        names: Vec<PyStrRef>,
        sheets: Vec<PyListRef>,
        has_header: bool,
        vm: &VirtualMachine,
    ) -> PyResult<PyBytesRef> {
        let mut book = Workbook::new();
        for (name, rows) in names.into_iter().zip(sheets) {
            let rows = rows.borrow_vec().to_vec();
            let refused = |error: XlsxError| {
                vm.new_value_error(format!(
                    "the sheet {:?} can't be written: {error}",
                    name.to_string_lossy()
                ))
            };
            let page = book.add_worksheet();
            page.set_name(name.to_string_lossy()).map_err(refused)?;
            let bold = Format::new().set_bold();
            for (row, cells) in (0u32..).zip(rows) {
                let cells = cells.try_downcast::<PyList>(vm)?;
                let cells = cells.borrow_vec().to_vec();
                for (column, cell) in cells.iter().enumerate() {
                    let column = u16::try_from(column).unwrap_or(u16::MAX);
                    let look = (has_header && row == 0).then_some(&bold);
                    write_cell(page, row, column, cell, look, vm)?.map_err(refused)?;
                }
            }
            if has_header {
                page.set_freeze_panes(1, 0).map_err(refused)?;
            }
            page.autofit();
        }
        let bytes = book.save_to_buffer();
        let bytes = bytes.map_err(|error| vm.new_value_error(error.to_string()))?;
        Ok(vm.ctx.new_bytes(bytes))
    }

    fn write_cell(
        page: &mut Worksheet,
        row: u32,
        column: u16,
        cell: &PyObject,
        look: Option<&Format>,
        vm: &VirtualMachine,
    ) -> PyResult<Result<(), XlsxError>> {
        let plain = Format::new();
        let look = look.unwrap_or(&plain);
        let written = if vm.is_none(cell) {
            return Ok(Ok(()));
        } else if cell.is(&vm.ctx.true_value) || cell.is(&vm.ctx.false_value) {
            let is_true = cell.is(&vm.ctx.true_value);
            page.write_boolean_with_format(row, column, is_true, look)
        } else if let Some(text) = cell.downcast_ref::<PyStr>() {
            page.write_string_with_format(row, column, text.to_string_lossy(), look)
        } else if cell.downcast_ref::<PyFloat>().is_some() || cell.downcast_ref::<PyInt>().is_some()
        {
            let number = cell.try_float(vm)?.to_f64();
            page.write_number_with_format(row, column, number, look)
        } else if let Some([number, format]) =
            cell.downcast_ref::<PyTuple>().map(|tuple| tuple.as_slice())
        {
            let number = number.try_float(vm)?.to_f64();
            let format = format.str(vm)?;
            let look = look.clone().set_num_format(format.to_string_lossy());
            page.write_number_with_format(row, column, number, &look)
        } else {
            let class = cell.class().name().to_string();
            return Err(vm.new_type_error(format!("a cell can't hold a {class}")));
        };
        Ok(written.map(drop))
    }
}
