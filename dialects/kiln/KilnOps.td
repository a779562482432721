// Every op of the dialect, for the generators that want them all.
#ifndef KILN_OPS_TD
#define KILN_OPS_TD
include "dialects/kiln/Elementwise.td"
include "dialects/kiln/Reduce.td"
include "dialects/kiln/Norm.td"
include "dialects/kiln/MatMul.td"
include "dialects/kiln/Conv.td"
include "dialects/kiln/Movement.td"
include "dialects/kiln/Selection.td"
include "dialects/kiln/Sampling.td"
include "dialects/kiln/Recurrent.td"
include "dialects/kiln/Attention.td"
include "dialects/kiln/Structure.td"
#endif // KILN_OPS_TD
