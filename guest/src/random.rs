//! `_random`: Python's generator of random numbers. One that no script has given a seed takes one
//! of the host's when it is first used, and anew where a run or a fork of a session begins.

pub(crate) use _random::module_def;

#[rustpython_vm::pymodule]
mod _random {
    use std::sync::atomic::{AtomicU32, Ordering};

    use malachite_bigint::{BigInt, BigUint, Sign};
    use mt19937::{MT19937, N};
    use rand::Rng as _;
    use rustpython_vm::builtins::{PyInt, PyTupleRef};
    use rustpython_vm::common::lock::{PyMutex, PyMutexGuard};
    use rustpython_vm::function::{OptionalArg, PySetterValue};
    use rustpython_vm::types::{Constructor, DefaultConstructor, Initializer};
    use rustpython_vm::{Py, PyObjectRef, PyPayload, PyResult, VirtualMachine, pyclass};

    /// The count of beginnings: runs, and forks of sessions.
    static BEGINNINGS: AtomicU32 = AtomicU32::new(1);

    /// Makes every generator without a seed of a script's take a new one.
    #[pyfunction]
    fn _begin() {
        // Seeds come from this generator, whose state is in the snapshot.
        rand::rng().reseed().expect("the host gives random bytes");
        BEGINNINGS.fetch_add(1, Ordering::Relaxed);
    }

    fn beginnings() -> u32 {
        BEGINNINGS.load(Ordering::Relaxed)
    }

    /// The source of a generator's seed.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Seed {
        /// A script.
        Script,
        /// The host, after so many beginnings; before the first one if it has none yet.
        Host(u32),
    }

    #[derive(Debug)]
    struct Generator {
        numbers: MT19937,
        seed: Seed,
        /// The second of two numbers of `gauss()`, and the count of beginnings when it was made.
        gauss_next: Option<(PyObjectRef, u32)>,
    }

    #[pyattr]
    #[pyclass(name = "Random", module = "_random")]
    #[derive(Debug, PyPayload)]
    struct Random(PyMutex<Generator>);

    impl Default for Random {
        fn default() -> Self {
            Self(PyMutex::new(Generator {
                numbers: MT19937::new_with_slice_seed(&[0]),
                seed: Seed::Host(0),
                gauss_next: None,
            }))
        }
    }

    impl DefaultConstructor for Random {}

    impl Initializer for Random {
        type Args = OptionalArg<PyObjectRef>;

        fn init(zelf: &Py<Self>, seed: Self::Args, vm: &VirtualMachine) -> PyResult<()> {
            Self::seed(zelf, seed, vm)
        }
    }

    impl Random {
        /// The generator, with the seed that it should have.
        fn generator(&self) -> PyMutexGuard<'_, Generator> {
            let mut generator = self.0.lock();
            let host = Seed::Host(beginnings());
            if generator.seed != host && generator.seed != Seed::Script {
                // As much as a key has.
                let mut key = [0; 8];
                key.fill_with(|| rand::rng().next_u32());
                generator.numbers = MT19937::new_with_slice_seed(&key);
                generator.seed = host;
            }
            generator
        }
    }

    #[pyclass(flags(BASETYPE), with(Constructor, Initializer))]
    impl Random {
        #[pymethod]
        fn random(zelf: &Py<Self>) -> f64 {
            mt19937::gen_res53(&mut zelf.generator().numbers)
        }

        #[pymethod]
        fn seed(
            zelf: &Py<Self>,
            seed: OptionalArg<PyObjectRef>,
            vm: &VirtualMachine,
        ) -> PyResult<()> {
            let Some(seed) = seed.into_option().filter(|seed| !vm.is_none(seed)) else {
                zelf.0.lock().seed = Seed::Host(0);
                return Ok(());
            };
            let number = match seed.downcast::<PyInt>() {
                Ok(number) => number.as_bigint().clone(),
                Err(other) => BigInt::from(other.hash(vm)?),
            };
            let mut key = number.magnitude().to_u32_digits();
            if key.is_empty() {
                key.push(0);
            }
            let mut generator = zelf.0.lock();
            generator.numbers = MT19937::new_with_slice_seed(&key);
            generator.seed = Seed::Script;
            Ok(())
        }

        #[pymethod]
        fn getrandbits(zelf: &Py<Self>, k: PyObjectRef, vm: &VirtualMachine) -> PyResult<BigInt> {
            let bits = k.try_index(vm)?;
            if bits.as_bigint().sign() == Sign::Minus {
                return Err(vm.new_value_error("number of bits must be non-negative"));
            }
            let bits = bits
                .try_to_primitive::<i32>(vm)
                .map_err(|_| vm.new_overflow_error("getrandbits: number of bits too large"))?;
            let mut left = bits as u32;
            let mut words = Vec::new();
            if words
                .try_reserve_exact(left.div_ceil(u32::BITS) as usize)
                .is_err()
            {
                return Err(vm.new_memory_error("getrandbits: too many bits"));
            }
            let mut generator = zelf.generator();
            while left > 0 {
                let taken = left.min(u32::BITS);
                words.push(generator.numbers.next_u32() >> (u32::BITS - taken));
                left -= taken;
            }
            Ok(BigUint::new(words).into())
        }

        #[pymethod]
        fn getstate(zelf: &Py<Self>, vm: &VirtualMachine) -> PyTupleRef {
            let generator = zelf.generator();
            let state = generator.numbers.get_state().iter().copied();
            let index = generator.numbers.get_index() as u32;
            let numbers = state
                .chain([index])
                .map(|number| vm.ctx.new_int(number).into());
            vm.new_tuple(numbers.collect::<Vec<PyObjectRef>>())
        }

        #[pymethod]
        fn setstate(zelf: &Py<Self>, state: PyTupleRef, vm: &VirtualMachine) -> PyResult<()> {
            if state.len() != N + 1 {
                return Err(vm.new_value_error("state vector is the wrong size"));
            }
            let mut numbers = [0; N];
            for (number, given) in numbers.iter_mut().zip(state.as_slice()) {
                *number = given.try_to_value(vm)?;
            }
            let index: usize = state.as_slice()[N].try_to_value(vm)?;
            if index > N {
                return Err(vm.new_value_error("invalid state"));
            }
            let mut generator = zelf.0.lock();
            generator.numbers.set_state(&numbers);
            generator.numbers.set_index(index);
            generator.seed = Seed::Script;
            Ok(())
        }

        #[pygetset]
        fn gauss_next(zelf: &Py<Self>) -> Option<PyObjectRef> {
            let generator = zelf.0.lock();
            let (number, made_after) = generator.gauss_next.as_ref()?;
            let lasts = generator.seed == Seed::Script || *made_after == beginnings();
            lasts.then(|| number.clone())
        }

        #[pygetset(setter)]
        fn set_gauss_next(zelf: &Py<Self>, number: PySetterValue, vm: &VirtualMachine) {
            let number = number.into_option().filter(|number| !vm.is_none(number));
            zelf.0.lock().gauss_next = number.map(|number| (number, beginnings()));
        }
    }
}
