// What is wrong with the file of recipes.

// RUN: not sage-opt %s --sage-assign-recipes 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: not sage-opt %s --sage-assign-recipes=file=%S/Inputs/none.json 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not sage-opt %s --sage-assign-recipes=file=%S 2>&1 | FileCheck %s --check-prefix=FOLDER
// RUN: not sage-opt %s --sage-assign-recipes=file=%s 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: printf '{"version": 1, "layers": [["sage-8b", "sa' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: printf '{"version": 1, "layers": [["\377"]]}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: printf '%%2000000s' | tr ' ' '[' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=DEEP
// RUN: echo '{"version": 2}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=VERSION
// RUN: echo '{"version": 1e300, "layers": [["f16"]]}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=VERSION
// RUN: echo '[["f16"]]' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=VERSION
// RUN: echo '{"version": 1}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: echo '{"version": 1, "layers": []}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: echo '{"version": 1, "layers": {"0": ["f16"]}}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: echo '{"version": 1, "layers": [["f16"], "f16"]}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: echo '{"version": 1, "layers": [["f16"], []]}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: echo '{"version": 1, "layers": [["sage2-8b", "sage3"]]}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: echo '{"version": 1, "layers": [["sage2-8b", ["f16"]]]}' > %t && not sage-opt %s --sage-assign-recipes=file=%t 2>&1 | FileCheck %s --check-prefix=KIND

// Brackets in texts and other members do not matter.
// RUN: echo '{"notes": ["\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["], "version": 1, "layers": [["f16"]]}' > %t && sage-opt %s --sage-assign-recipes=file=%t

// EMPTY: error: option 'file' must name a file of recipes, but is empty
// EMPTY: note: --sage-assign-recipes=file=recipes.json
// NONE: error: file of recipes '{{.*}}none.json' cannot be read: No such file or directory
// NONE: note: sage-calibrate writes such files
// FOLDER: error: file of recipes '{{.*}}' cannot be read: Is a directory
// TEXT: error: file of recipes '{{.*}}' is not JSON:
// DEEP: error: file of recipes '{{.*}}' must nest at most 64 deep
// VERSION: error: file of recipes '{{.*}}' must be an object with version 1
// LAYERS: error: file of recipes '{{.*}}' must have layers, an array with a layer in it
// LAYER: error: file of recipes '{{.*}}' layer 1 must be an array of recipes' names
// NAME: error: file of recipes '{{.*}}' recipe of layer 0, key head 1, must be one of {{.*}}, but got 'sage3'
// KIND: error: file of recipes '{{.*}}' recipe of layer 0, key head 1, must be a text

module {}
