// All ops of the kiln dialect.
#pragma once

#include "dialects/kiln/Attention.h"
#include "dialects/kiln/Conv.h"
#include "dialects/kiln/Elementwise.h"
#include "dialects/kiln/MatMul.h"
#include "dialects/kiln/Movement.h"
#include "dialects/kiln/Norm.h"
#include "dialects/kiln/Recurrent.h"
#include "dialects/kiln/Reduce.h"
#include "dialects/kiln/Sampling.h"
#include "dialects/kiln/Selection.h"
#include "dialects/kiln/Structure.h"
