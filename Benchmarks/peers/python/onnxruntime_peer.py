"""ONNX Runtime's side of the comparison: a graph of one RNN, LSTM or GRU node, forward only, time-major.

Weights are initializers, which the runtime packs when the session is made. Inputs and outputs are bound once, so that a
pass copies nothing.
"""
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from operands import Operands
from serving import Unsupported, serve

# Place of ONNX's gates among the canonical ones: LSTM i, o, f, c of i, f, g, o; GRU z, r, h of r, z, n.
ORDER = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru": [1, 0, 2], "gru-before": [1, 0, 2]}
OPERATOR = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "gru-before": "GRU"}


def reordered(values, cell):
    """[G*H, …] in the canonical order of gates to [1, G*H, …] in ONNX's."""
    gates = numpy.split(values, len(ORDER[cell]))
    return numpy.concatenate([gates[place] for place in ORDER[cell]])[None]


def model(request, operands):
    cell, h = request["cell"], request["H"]
    attributes = {"hidden_size": h}
    if OPERATOR[cell] == "GRU":
        attributes["linear_before_reset"] = 1 if cell == "gru" else 0
    states = ["h0", "c0"] if cell == "lstm" else ["h0"]
    last = ["hT", "cT"] if cell == "lstm" else ["hT"]
    node = helper.make_node(OPERATOR[cell], ["x", "W", "R", "B", ""] + states, ["y"] + last, **attributes)
    biases = numpy.concatenate([reordered(operands.b, cell), reordered(operands.bh, cell)], axis=1)
    constants = {"W": reordered(operands.w, cell), "R": reordered(operands.u, cell), "B": biases}
    t, b, i = operands.x.shape
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [node], "row", [value("x", t, b, i)] + [value(state, 1, b, h) for state in states],
        [value("y", t, 1, b, h)] + [value(state, 1, b, h) for state in last],
        [numpy_helper.from_array(numpy.ascontiguousarray(array), name) for name, array in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


class Row:
    def __init__(self, request):
        if request["mode"] == "train":
            raise Unsupported("ONNX Runtime's CPU package does not train")
        operands = Operands(request)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request["threads"]
        options.inter_op_num_threads = 1
        made = model(request, operands)
        onnx.checker.check_model(made)
        self.session = onnxruntime.InferenceSession(
            made.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        entering = {"x": operands.x, "h0": operands.h0[None], "c0": operands.c0[None]}
        for node in self.session.get_inputs():
            self.binding.bind_ortvalue_input(node.name, onnxruntime.OrtValue.ortvalue_from_numpy(entering[node.name]))
        self.outputs = {}
        for node in self.session.get_outputs():
            self.outputs[node.name] = onnxruntime.OrtValue.ortvalue_from_numpy(
                numpy.zeros(node.shape, numpy.float32))
            self.binding.bind_ortvalue_output(node.name, self.outputs[node.name])

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def results(self):
        return {name: value.numpy() for name, value in self.outputs.items()}


if __name__ == "__main__":
    serve(f"ONNX Runtime {onnxruntime.__version__}", Row)
