"""The parts of training that are written for speed. Everything here has a plain form elsewhere.

The gradient constraint differentiates a gradient (double backward). There are two fast ways to do
that, by convolutions and by matrix products: a CPU uses the products, an accelerator whichever is
faster there (``gradcon.forms``). Read them in this order:

1. ``convolution``: a transposed convolution whose second derivatives are ordinary convolutions.
   Used with autograd, and for validation everywhere.
2. ``im2col``: a strided convolution as one matrix product between row copies and row sums, and
   ``matmul``, the matrix products themselves.
3. ``double_backward``: the decoder's losses and gradients under the constraint by such products,
   without autograd, for one model or for a stack in batched products.
4. ``encoder``: the encoder's convolutions by such products, for autograd.
5. ``adam``: Adam for a stack of models that have taken different numbers of steps.
6. ``cuda_graphs``: one iteration recorded on a GPU and replayed.
7. ``runtime``: settings of the process that training and scoring rely on.
"""
