# What the examples' tests know of the default model. models/recipe/card.py facts writes this file with the model.
set(CN_FACT_CONCEPTS cloud skull syringe) # labels of demo pictures, each with a unit of its own
set(CN_FACT_UNITS 911 199 626) # these units of layer4, in the same order
# A demo picture on which the first concept gets more than half, the same concept as a word, and another one.
set(CN_FACT_PICTURES cloud-colour-0.png cloud-word-0.png skull-line-0.png)
