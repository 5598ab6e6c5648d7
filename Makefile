# clipneuron's front door: `make help` says what there is. CMake and Ninja do the work.
#   DEPS=skip       installs nothing (for packagers)
#   CMAKE_FLAGS=..  more options for the configure step, e.g. -DCN_WERROR=ON
BUILD  := build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
export DEPS

all: configure                ## build build/clipneuron and the library
	@cmake --build $(BUILD) -j $(JOBS) --target clipneuron program

demo: all                     ## scan the demo pictures with the default model, write build/demo/index.html
	@sh tools/demo.sh $(BUILD)

test: configure               ## build and run all tests
	@cmake --build $(BUILD) -j $(JOBS)
	@sh tools/test.sh $(BUILD) $(JOBS)

bench: configure              ## compare with PyTorch and ONNX Runtime, installing them first
	@sh tools/setup.sh bench
	@cmake --build $(BUILD) -j $(JOBS)
	@sh bench/run.sh $(BUILD)

results: all                  ## what there is to see in the default model, in docs/results (ten minutes); parts:
	@sh tools/results.sh $(BUILD)

multimodal-results:           ## units that answer to pictures and to writing
attack-results:               ## typographic attacks
stroop-results:               ## colour words in other inks
defence-results:              ## what helps against attacks, and what it costs
class-results:                ## classes as short sums of units
emotion-results:              ## emotion words, their atlas
region-results:               ## flags and names of countries on a map
absent-results:               ## concepts without a unit
RESULTS := multimodal attack stroop defence class emotion region absent
$(RESULTS:%=%-results): all
	@sh tools/results.sh $(BUILD) $(@:%-results=%)

model:                        ## train the default model and its control again (hours)
	@sh tools/setup.sh build model
	@sh models/recipe/make_model.sh

install: all                  ## install to PREFIX (/usr/local), under DESTDIR if given
	@cmake --install $(BUILD) --prefix "$(PREFIX)"

clean:                        ## remove what was built
	rm -rf $(BUILD)

help:                         ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 24

configure:
	@sh tools/setup.sh build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX="$(PREFIX)" $(CMAKE_FLAGS) >/dev/null

.PHONY: all demo test bench results $(RESULTS:%=%-results) model install clean help configure
