"""PyTorch's side of the comparison: torch.nn.RNN, LSTM and GRU, one layer, time-major.

`infer` is a forward pass without gradients; `train` is forward, and backward to weights, input and initial state, a
gradient given at every output.
"""
import torch

from operands import Operands
from serving import Unsupported, serve

LAYERS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


class Row:
    def __init__(self, request):
        if request["cell"] not in LAYERS:
            raise Unsupported(f"PyTorch has no cell {request['cell']}")
        torch.set_num_threads(request["threads"])
        o = Operands(request)
        self.layer = LAYERS[request["cell"]](request["I"], request["H"])
        with torch.no_grad():
            for parameter, values in zip(self.layer.parameters(), [o.w, o.u, o.b, o.bh]):
                parameter.copy_(torch.from_numpy(values))
        self.x, self.dy = torch.from_numpy(o.x), torch.from_numpy(o.dy)
        self.has_c = request["cell"] == "lstm"
        self.states = [torch.from_numpy(state)[None] for state in ([o.h0, o.c0] if self.has_c else [o.h0])]
        self.cell = request["cell"]
        self.trains = request["mode"] == "train"
        self.run = self.train if self.trains else self.infer

    def _forward(self, x, states):
        return self.layer(x, tuple(states) if self.has_c else states[0])

    def infer(self):
        with torch.inference_mode():
            self.y, self.last = self._forward(self.x, self.states)

    def train(self):
        self.layer.zero_grad(set_to_none=True)
        self.inputs = self.x.detach().requires_grad_()
        self.initial = [state.detach().requires_grad_() for state in self.states]
        self.y, self.last = self._forward(self.inputs, self.initial)
        self.y.backward(self.dy)

    def results(self):
        last = self.last if self.has_c else (self.last,)
        found = {"y": self.y} | dict(zip(["hT", "cT"], last))
        if self.trains:
            w, u, b, bh = (parameter.grad for parameter in self.layer.parameters())
            found |= {"dx": self.inputs.grad, "dW": w, "dU": u, "db": b}
            found |= dict(zip(["dh0", "dc0"], (state.grad for state in self.initial)))
            if self.cell == "gru":
                found["dbn"] = bh[-bh.numel() // 3:]
        return {name: values.detach().numpy() for name, values in found.items()}


if __name__ == "__main__":
    serve(f"PyTorch {torch.__version__.split('+')[0]}", Row)
