"""Where the paper's parts are: section, figure or equation, then code, tests and chapter."""

from __future__ import annotations

from minipose_book.papers.claims import Place

MODEL = "minipose.models.convolutional_pose_machine"
MACHINE = f"{MODEL}:ConvolutionalPoseMachine"
CHAPTER = "convolutional-pose-machines"
RECORDS = "Do more stages help?"

PLACES = (
    Place(
        "3.1, Figure 2a and 2b, Equations 1 to 3",
        "A pose machine: beliefs from the picture, then from both",
        (f"{MACHINE}.forward",),
        ("test_cpm.py::test_image_features_are_shared_by_later_stages_and_not_by_the_first",),
        CHAPTER,
        "Look, believe, look again",
    ),
    Place(
        "3.2.1, Figure 2c",
        "Stage 1: local evidence, 160 px",
        (MACHINE, f"{MODEL}:receptive_field"),
        (
            "test_cpm.py::test_parameters_are_those_of_the_layers_by_hand",
            "test_cpm.py::test_stage_1_sees_160_px",
        ),
        CHAPTER,
        "The layers that a text copy loses",
    ),
    Place(
        "3.2.2, Figure 2d",
        "A later stage: evidence, beliefs, centre",
        (f"{MODEL}:Stage",),
        ("test_cpm.py::test_stage_2_sees_31_cells_which_are_400_px",),
        CHAPTER,
        "Build a stage",
    ),
    Place(
        "3.2.2, Figure 3",
        "A shoulder's belief that tells of the elbow",
        ("minipose_book.figures.hourglass:beliefs",),
        ("test_widgets.py::test_what_beliefs_shows_is_what_the_stage_makes",),
        CHAPTER,
        "What does the shoulder tell the elbow?",
    ),
    Place(
        "3.2.2, Figure 2e",
        "Receptive fields against the body",
        (f"{MODEL}:receptive_field", "minipose_book.experiments.wei2016.stages:sees"),
        ("test_experiments_cpm.py::test_the_papers_machine_sees_400_px",),
        CHAPTER,
        "How far a stage sees",
    ),
    Place(
        "3.2.2, Figure 4",
        "Accuracy by the receptive field",
        ("minipose_book.experiments.wei2016.stages:cpm_receptive_field",),
        ("test_experiments_cpm.py::test_receptive_fields_grow_and_sizes_do_not",),
        CHAPTER,
        "How far a stage sees",
    ),
    Place(
        "3.2.2",
        "Stride 8 against stride 4",
        ("minipose_book.experiments.wei2016.stages:cpm_stride",),
        ("test_cpm.py::test_stride_4_pools_once_less_and_sees_less",),
        CHAPTER,
        RECORDS,
    ),
    Place(
        "3.3, Equations 4 and 5",
        "A loss at every stage",
        (f"{MACHINE}.loss",),
        ("test_cpm.py::test_loss_by_hand",),
        CHAPTER,
        "What each stage is asked",
    ),
    Place(
        "4.1, Figure 5",
        "Gradients with and without intermediate supervision",
        ("minipose_book.experiments.newell2016.layers_and_gradients:gradients",),
        ("test_experiments_targets.py::test_gradients_are_autograds",),
        CHAPTER,
        RECORDS,
    ),
    Place(
        "4.1, Figure 6b",
        "Four ways to train",
        ("minipose_book.experiments.wei2016.stages:cpm_training",),
        ("test_experiments_cpm.py::test_stage_wise_training_moves_one_stage_at_a_time",),
        CHAPTER,
        RECORDS,
    ),
    Place(
        "4.1, Figure 6c",
        "Machines of one to six stages",
        ("minipose_book.experiments.wei2016.stages:cpm_stages",),
        ("test_experiments_cpm.py::test_a_record_comes_out",),
        CHAPTER,
        RECORDS,
    ),
    Place(
        "4.1, Figure 7",
        "An elbow's belief from stage to stage",
        ("minipose.plots:draw_heatmap",),
        ("test_inference.py::test_pose_is_drawn_where_it_was_found",),
        CHAPTER,
        "An elbow, stage by stage",
    ),
    Place(
        "4.2",
        "Everybody for stage 1, one person for the others, and the background",
        (f"{MACHINE}.targets",),
        ("test_cpm.py::test_beliefs_by_hand",),
        CHAPTER,
        "What each stage is asked",
    ),
    Place(
        "4.2",
        "The centre map",
        (f"{MACHINE}.center",),
        ("test_cpm.py::test_the_centre_map_says_who_is_meant",),
        CHAPTER,
        "What each stage is asked",
    ),
    Place(
        "4.2",
        "Beliefs merged over scales",
        (
            "minipose_book.experiments.wei2016.evaluation:multi_scale",
            "minipose_book.experiments.wei2016.evaluation:Misjudged",
        ),
        ("test_experiments_cpm.py::test_misjudged_people_have_the_same_joints_and_other_crops",),
        CHAPTER,
        RECORDS,
    ),
    Place(
        "4.2, Figure 11",
        "Accuracy by the viewing direction",
        ("minipose_book.experiments.wei2016.evaluation:viewpoints",),
        (
            "test_experiments_cpm.py::test_turned_says_where_each_unseen_puppet_faces",
            "test_experiments_cpm.py::test_who_faces_the_viewer_has_the_right_shoulder_on_the_left",
        ),
        CHAPTER,
        RECORDS,
    ),
)
