"""Prints MLIR of one function body: names values, collects constants, nests regions.

A small text writer for golden modules, so that they need no MLIR bindings.
"""

SHARED, GLOBAL = "!llvm.ptr<3>", "!llvm.ptr<1>"


class Builder:
    """Prints one function body; constants are collected above it."""

    def __init__(self):
        self.lines, self.constants, self.count, self.depth = [], {}, 0, 2

    def emit(self, text):
        self.lines.append("  " * self.depth + text)

    def value(self, text):
        self.count += 1
        self.emit(f"%{self.count} = {text}")
        return f"%{self.count}"

    def values(self, text, count):
        name = self.value(text)
        self.lines[-1] = self.lines[-1].replace(f"{name} =", f"{name}:{count} =", 1)
        return [f"{name}#{i}" for i in range(count)]

    def const(self, literal, type):
        key = f"arith.constant {literal} : {type}"
        return self.constants.setdefault(key, f"%c{len(self.constants)}")

    def i32(self, number):
        return self.const(number, "i32")

    def f32(self, number):
        return self.const(f"{number:.9e}", "f32")

    def name(self, name, value):
        """Gives the value of the last line a name of its own."""
        self.lines[-1] = self.lines[-1].replace(f"{value} =", f"%{name} =", 1)

    # Integer and float arithmetic on one type.
    def op(self, name, a, b, type="i32"):
        return self.value(f"arith.{name} {a}, {b} : {type}")

    def add(self, a, b): return self.op("addi", a, b)
    def sub(self, a, b): return self.op("subi", a, b)
    def mul(self, a, b): return self.op("muli", a, b)
    def max_i(self, a, b): return self.op("maxsi", a, b)
    def max_f(self, a, b): return self.op("maxnumf", a, b, "f32")
    def add_f(self, a, b): return self.op("addf", a, b, "f32")
    def mul_f(self, a, b): return self.op("mulf", a, b, "f32")

    def min_u(self, a, b): return self.op("minui", a, b)

    def ceil_div(self, a, by):
        return self.op("divui", self.add(a, self.i32(by - 1)), self.i32(by))

    def fma(self, a, b, c, type="f32"):
        return self.value(f"math.fma {a}, {b}, {c} : {type}")

    def exp2(self, a, type="f32"):
        return self.value(f"math.exp2 {a} : {type}")

    def compare(self, predicate, a, b, type="i32"):
        return self.value(f"arith.cmpi {predicate}, {a}, {b} : {type}")

    def cast(self, name, a, source, to):
        return self.value(f"arith.{name} {a} : {source} to {to}")

    # Vectors.
    def elements(self, vector, count, type):
        return self.values(f"vector.to_elements {vector} : vector<{count}x{type}>", count)

    def vector(self, scalars, type):
        return self.value(f"vector.from_elements {', '.join(scalars)} : vector<{len(scalars)}x{type}>")

    def slice(self, vector, count, offset, size, type):
        return self.value(
            f"vector.extract_strided_slice {vector} {{offsets = [{offset}], sizes = [{size}], strides = [1]}}"
            f" : vector<{count}x{type}> to vector<{size}x{type}>")

    # Memory.
    def at(self, base, offset, pointer=SHARED, element="i8"):
        return self.value(f"llvm.getelementptr {base}[{offset}] : ({pointer}"
                          f"{'' if isinstance(offset, int) else ', i32'}) -> {pointer}, {element}")

    def load(self, pointer, type, space=GLOBAL, volatile="", align=4):
        return self.value(f"llvm.load {volatile}{pointer} {{alignment = {align} : i64}} : {space} -> {type}")

    # Control flow. Bodies are functions that return the values they yield.
    def for_loop(self, start, stop, step, carried, body):
        types = ", ".join(type for _, type in carried)
        names = [f"%it{self.count}_{i}" for i in range(len(carried))]
        index = f"%i{self.count}"
        inits = ", ".join(f"{name} = {init}" for name, (init, _) in zip(names, carried))
        result = self.value("")
        bind = f"{result}:{len(carried)} = " if carried else ""
        iterate = f"iter_args({inits}) -> ({types}) " if carried else ""
        self.lines[-1] = "  " * self.depth + f"{bind}scf.for {index} = {start} to {stop} step {step} {iterate}: i32 {{"
        self.depth += 1
        yielded = body(index, *names)
        if carried:
            self.emit(f"scf.yield {', '.join(yielded)} : {types}")
        self.depth -= 1
        self.emit("}")
        return [f"{result}#{i}" for i in range(len(carried))]

    def if_then(self, condition, then, otherwise=None, type=None):
        head = f"scf.if {condition} {f'-> ({type}) ' if type else ''}{{"
        result = self.value(head) if type else self.emit(head)
        for number, body in enumerate(b for b in (then, otherwise) if b):
            if number:
                self.emit("} else {")
            self.depth += 1
            yielded = body()
            if type:
                self.emit(f"scf.yield {yielded} : {type}")
            self.depth -= 1
        self.emit("}")
        return result

    # Inline assembly over lists of scalars; results come first, `tied` inputs share their registers.
    def asm(self, text, results, inputs=(), tied=()):
        """results: list of (constraint, type); inputs: list of (value, constraint, type)."""
        types = [type for _, type in results]
        constraints = (["=" + c for c, _ in results] + [c for _, c, _ in inputs]
                       + [str(i) for i in range(len(tied))])
        operands = [value for value, _, _ in inputs] + list(tied)
        operand_types = [type for _, _, type in inputs] + types[:len(tied)]
        struct = f"!llvm.struct<({', '.join(types)})>"
        result = self.value(
            f"llvm.inline_asm has_side_effects asm_dialect = att \"{text}\", \"{','.join(constraints)}\" "
            f"{', '.join(operands)} : ({', '.join(operand_types)}) -> {struct}")
        return [self.value(f"llvm.extractvalue {result}[{i}] : {struct}") for i in range(len(types))]
