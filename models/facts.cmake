# What the examples' tests know of the default model. models/recipe/card.py facts writes this file with the model.
set(CN_FACT_CONCEPTS cloud syringe ghost) # labels of demo pictures, each with a unit of its own
set(CN_FACT_UNITS 911 626 149) # these units of layer4, in the same order
# A demo picture on which the first concept gets more than half, the same concept as a word, and another one.
set(CN_FACT_PICTURES cloud-colour-0.png cloud-word-0.png syringe-line-0.png)
