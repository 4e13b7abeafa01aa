from .graph import cooccurrence_graph as cooccurrence_graph
from .graph import item_features as item_features
from .graph import pagerank as pagerank
from .graph import transition_graph as transition_graph
from .histories import history_means as history_means
from .text import text_factors as text_factors
from .text import text_vectors as text_vectors
