"""Where the report's parts are: section, figure or table, then code, tests and chapter."""

from __future__ import annotations

from minipose_book.papers.claims import Place

CHAPTER = "from-mpii-to-coco"
REPORT, ASKED = "minipose_book.experiments.lee2020.training", "minipose_book.experiments.lee2020.robustness"
RECORD = "test_experiments_report.py::test_a_record_comes_out"

PLACES = (
    Place(
        "3.2.1, Figure 1",
        "People with few labelled joints are left out; joints and people are counted",
        ("minipose.data.coco:COCO", "minipose.data.coco:COCO.statistics"),
        ("test_mpii_coco.py::test_coco_filters", "test_mpii_coco.py::test_coco_statistics_are_of_everybody"),
        CHAPTER,
        "Other joints",
    ),
    Place(
        "3.2.2, Figure 3",
        "One crop for each annotated person, from the box with a margin",
        ("minipose.crops:Crop.around_box",),
        ("test_mpii_coco.py::test_coco_by_hand", "test_crops.py::test_evaluation_crops_by_hand"),
        CHAPTER,
        "Other joints",
    ),
    Place(
        "3.2.3, Table 1",
        "Three levels of augmentation",
        (
            "minipose_book.experiments.lee2020.augmentation:at_level",
            "minipose_book.experiments.lee2020.augmentation:Photometric",
        ),
        (
            "test_photometric.py::test_the_table_is_the_reports",
            "test_photometric.py::test_amounts_span_the_tables_ranges",
        ),
        CHAPTER,
        "Three levels of augmentation",
    ),
    Place(
        "3.2.3",
        "What is never applied to one picture together",
        ("minipose_book.experiments.lee2020.augmentation:at_level",),
        ("test_photometric.py::test_what_excludes_one_another",),
        CHAPTER,
        "Three levels of augmentation",
    ),
    Place(
        "3.2.3",
        "No label on emptied picture: all geometry in one warp",
        ("minipose.crops:Crop.matrix", "minipose.augmentation:Draw.crop"),
        (
            "test_photometric.py::test_no_label_lies_on_emptied_picture",
            "test_photometric.py::test_an_augmented_joint_lies_on_the_pixel_that_it_labelled",
        ),
        CHAPTER,
        "Labels on nothing",
    ),
    Place(
        "3.3, Figures 4 and 5",
        "Stacked hourglasses, down to 4x4 cells",
        ("minipose.models.hourglass:StackedHourglass", "minipose.models.hourglass:Hourglass"),
        ("test_models.py::test_hourglass_has_thirteen_residuals_and_reaches_four_by_four",),
        CHAPTER,
        "The network: how low does it go?",
    ),
    Place(
        "3.3.2",
        "The rate that falls from 5e-3 to 5e-4",
        ("minipose.optimization:LRSchedule",),
        ("test_experiments_report.py::test_reports_plan_is_cocos",),
        CHAPTER,
        "Adam or RMSprop",
    ),
    Place(
        "3.4.1, Figure 6a",
        "From a heatmap to a keypoint: enlarged, blurred, its highest pixel",
        ("minipose_book.experiments.newell2016.decoding:enlarged",),
        ("test_experiments_targets.py::test_the_reports_reading_by_the_libraries_that_it_used",),
        CHAPTER,
        "From heatmap to keypoint",
    ),
    Place(
        "3.4.2",
        "OKS, AP and AR by COCO's own tool, from a file of results",
        ("minipose.data.oks:coco_results", "minipose.data.oks:average_precision"),
        (
            "test_report_pck.py::test_truth_through_the_whole_path_is_perfect",
            "test_report_pck.py::test_a_shift_through_the_whole_path_gives_pycocotools_own_figures",
        ),
        CHAPTER,
        "A file of people",
    ),
    Place(
        "3.4.2",
        "What OKS and PCK say of one joint",
        ("minipose_book.figures.oks_tolerance:tolerance",),
        ("test_widgets.py::test_what_tolerance_says_is_the_packages",),
        CHAPTER,
        "One joint",
    ),
    Place(
        "3.4.2, Table 2",
        "PCK@0.2, as the text means it and as its code counts",
        (
            "minipose_book.experiments.lee2020.pck:fallback_pck",
            "minipose_book.experiments.lee2020.pck:as_its_code",
        ),
        (
            "test_report_pck.py::test_three_rulers_by_hand",
            "test_report_pck.py::test_what_its_code_counts_by_hand",
        ),
        CHAPTER,
        "A PCK with four mistakes",
    ),
    Place(
        "4.2, Figures 8 to 10",
        "Four stacks and eight, OKS after each epoch, with and without the mirror",
        (f"{REPORT}:depth",),
        (RECORD, "test_experiments_report.py::test_experiments_share_a_run_and_what_was_watched"),
        CHAPTER,
        "Four or eight",
    ),
    Place(
        "4.3, Figure 21",
        "With augmentation and without",
        (f"{REPORT}:augmentation_levels",),
        (RECORD,),
        CHAPTER,
        "Is it worth it?",
    ),
    Place(
        "4.4",
        "Linear, sigmoid, ReLU",
        (f"{REPORT}:activations", "minipose_book.experiments.variants:ActivatedHourglass"),
        (RECORD,),
        CHAPTER,
        "What comes out last",
    ),
    Place(
        "4.5, Figure 18",
        "The target that disappears when it is shrunk",
        ("minipose_book.experiments.newell2016.targets:sigma",),
        ("test_heatmaps.py::test_target_is_the_gaussian_of_scipy",),
        CHAPTER,
        "The target that disappeared",
    ),
    Place(
        "4.6, Figure 19",
        "Figures that are not human",
        (f"{ASKED}:non_human", f"{ASKED}:Figures"),
        (
            "test_experiments_report.py::test_figures_have_the_proportions_that_their_words_say",
            "test_experiments_report.py::test_four_arms_are_painted_and_known",
        ),
        CHAPTER,
        "Figures that are not human",
    ),
    Place(
        "4.7, Figure 20",
        "Adam against RMSprop",
        (f"{REPORT}:optimizers", f"{REPORT}:roughness"),
        (RECORD, "test_experiments_report.py::test_roughness_by_hand"),
        CHAPTER,
        "Adam or RMSprop",
    ),
    Place(
        "5",
        "Locations averaged with those of the mirrored picture",
        (
            "minipose_book.experiments.newell2016.flip_test:average_locations",
            "minipose_book.experiments.newell2016.flip_test:flip",
        ),
        ("test_experiments_reading.py::test_average_locations_mirrors_back_and_swaps_left_and_right",),
        CHAPTER,
        "The mirror",
    ),
    Place(
        "7",
        "Hidden blocks in training",
        (f"{ASKED}:block_occlusion", "minipose_book.experiments.lee2020.augmentation:blocked"),
        (
            "test_experiments_report.py::test_the_block_hides_what_is_called_hidden",
            "test_photometric.py::test_blocks_hide_the_picture_and_keep_the_labels",
        ),
        CHAPTER,
        "What they would have done next",
    ),
    Place(
        "7",
        "The centre of mass of an island",
        (
            "minipose_book.experiments.newell2016.decoding:centre_of_mass",
            "minipose_book.experiments.newell2016.decoding:decoding",
        ),
        ("test_experiments_targets.py::test_centre_of_mass_agrees_with_scipy",),
        CHAPTER,
        "What they would have done next",
    ),
)
