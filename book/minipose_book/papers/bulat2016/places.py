"""Where the paper's parts are: section, figure, table or equation, then code, tests and chapter."""

from __future__ import annotations

from minipose_book.papers.claims import Place

MODEL = "minipose.models.part_heatmap_regression"
NETWORK = f"{MODEL}:PartHeatmapRegression"
EXPERIMENTS = "minipose_book.experiments.bulat2016.training"
CHAPTER = "part-heatmap-regression"
ASKED = "What each network is asked"

PLACES = (
    Place(
        "1, Figure 2",
        "A part that is hidden, in both halves",
        (
            "minipose_book.figures.occluder:covering",
            "minipose_book.experiments.bulat2016.occlusion:part_occlusion",
        ),
        (
            "test_widgets.py::test_what_covering_shows_is_what_both_networks_make",
            "test_experiments_part_heatmaps.py::test_visible_occluded_and_recovered_by_hand",
        ),
        CHAPTER,
        "A hidden wrist, through both networks",
    ),
    Place(
        "3, Figure 1",
        "Detection, followed by regression",
        (f"{NETWORK}.forward",),
        ("test_part_heatmaps.py::test_the_regressor_looks_at_probabilities_and_the_image",),
        CHAPTER,
        "Why detect first?",
    ),
    Place(
        "3",
        "Discs of visible parts, Gaussians of all",
        (f"{MODEL}:encode_discs", f"{NETWORK}.targets"),
        (
            "test_part_heatmaps.py::test_discs_by_hand",
            "test_part_heatmaps.py::test_targets_of_both_stages_by_hand",
        ),
        CHAPTER,
        ASKED,
    ),
    Place(
        "3, Equations 1 and 2",
        "Both losses",
        (f"{NETWORK}.loss",),
        ("test_part_heatmaps.py::test_loss_by_hand",),
        CHAPTER,
        ASKED,
    ),
    Place(
        "3.1, Figure 3, Table 1",
        "VGG as a detector, with earlier layers' scores",
        (f"{MODEL}:ConvolutionalDetector", "minipose.models.backbones:VGG"),
        (
            "test_part_heatmaps.py::test_the_vgg_instance_is_that_of_tables_1_and_2",
            "test_part_heatmaps.py::test_vggs_three_scores_are_added",
            "test_backbones.py::test_fully_connected_weights_become_convolutions",
        ),
        CHAPTER,
        "VGG",
    ),
    Place(
        "3.1, Figure 4, Table 2",
        "A regressor of large filters",
        (f"{MODEL}:ConvolutionalRegressor",),
        (
            "test_part_heatmaps.py::test_the_vgg_instance_is_that_of_tables_1_and_2",
            "test_part_heatmaps.py::test_vggs_regressor_starts_with_small_draws",
        ),
        CHAPTER,
        "VGG",
    ),
    Place(
        "3.1",
        "Phases of training",
        (f"{EXPERIMENTS}:part_phases", "minipose_book.experiments.bulat2016.phases:set_phase"),
        ("test_part_heatmaps.py::test_three_phases_through_the_ordinary_loop",),
        CHAPTER,
        "Phases, and inputs",
    ),
    Place(
        "3.1",
        "Parts without a label: made up, or no gradient",
        (f"{NETWORK}.artificial", f"{NETWORK}.loss"),
        ("test_part_heatmaps.py::test_parts_without_label",),
        CHAPTER,
        ASKED,
    ),
    Place(
        "3.2, Figure 5, Table 3",
        "ResNet-152 as a detector",
        (f"{MODEL}:ResidualDetector", "minipose.models.backbones:ResNet"),
        (
            "test_part_heatmaps.py::test_the_residual_instance_is_that_of_tables_3_and_4",
            "test_backbones.py::test_names_are_torchvisions",
        ),
        CHAPTER,
        "The residual detector",
    ),
    Place(
        "3.2, Figure 6, Table 4",
        "One hourglass as a regressor, with deconvolutions",
        (f"{MODEL}:ResidualRegressor", f"{MODEL}:LearnedHourglass", f"{MODEL}:deconvolution"),
        (
            "test_part_heatmaps.py::test_the_residual_instance_is_that_of_tables_3_and_4",
            "test_part_heatmaps.py::test_a_deconvolution_starts_as_interpolation",
        ),
        CHAPTER,
        "The residual regressor",
    ),
    Place(
        "3.2",
        "How the weights start",
        (f"{MODEL}:scores", f"{MODEL}:deconvolution"),
        ("test_part_heatmaps.py::test_zeros_everywhere_would_learn_nothing",),
        CHAPTER,
        "Zeros, and where they may not be",
    ),
    Place(
        "4.2, Table 5",
        "Each half alone, and two of them in a row",
        (f"{EXPERIMENTS}:part_heatmaps",),
        (
            "test_experiments_part_heatmaps.py::test_table_5_phases_and_inputs",
            "test_experiments_part_heatmaps.py::test_rows_that_skip_a_half_leave_it_as_it_was",
        ),
        CHAPTER,
        "Table 5, again",
    ),
    Place(
        "4.3, Tables 6 and 7, Figure 7",
        "Final results",
        ("minipose.evaluation:evaluate",),
        ("test_metrics.py::test_hand_worked_table",),
        CHAPTER,
        "What we cannot measure",
    ),
)
