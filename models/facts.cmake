# What the examples' tests know of the default model. models/recipe/card.py facts writes this file with the model.
set(CN_FACT_CONCEPTS syringe cloud bell) # labels of demo pictures, each with a unit of its own
set(CN_FACT_UNITS 626 911 325) # these units of layer4, in the same order
# A demo picture on which the first concept gets more than half, the same concept as a word, and another one.
set(CN_FACT_PICTURES syringe-colour-0.png syringe-word-0.png cloud-line-0.png)
