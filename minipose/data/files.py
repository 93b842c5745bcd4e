"""Where data sets come from, how their folders look, and a check of a reader's own folder."""

from __future__ import annotations

import os
from pathlib import Path

from minipose.errors import InputError

GUIDES = {
    "puppets": """Drawn on the spot from a seed: nothing to download. Terms: MIT, like the code.""",
    "mpii": """MPII Human Pose (Andriluka et al., CVPR 2014): 25,000 photos of everyday activities.
Get the photos and the annotations from http://human-pose.mpi-inf.mpg.de and put them where you like:
    mpii/images/015601864.jpg    nine digits
    mpii/mpii_human_pose_v1_u12_1.mat, the official release with head boxes;
        or the JSON list that many projects share, with the usual validation split
Terms: annotations simplified BSD; photos for research.""",
    "coco": """COCO person keypoints (Lin et al., ECCV 2014), or your own photos in COCO's format.
`minipose data coco --download coco/` fetches the validation set of 2017 (1.1 GB); by hand, take
val2017.zip and annotations_trainval2017.zip from https://cocodataset.org, so that it looks like this:
    coco/images/000000000139.jpg
    coco/person_keypoints.json   'images' and 'annotations', 17 keypoints x, y, visibility each
Terms: annotations CC BY 4.0. Each photo has its owner's licence, which the JSON names: most are Creative
Commons, many for non-commercial use only, and to keep to them is up to you.""",
    "flic": """FLIC (Sapp & Taskar, CVPR 2013): 5,003 people in film stills, upper bodies.
Get FLIC.zip from https://bensapp.github.io/flic-dataset.html and unpack it into one folder:
    flic/examples.mat            a structure a person: coords, torsobox, istrain ...
    flic/images/                 the stills that its filepath names
Terms: for research; the stills belong to the films' owners.""",
    "lspet": """Leeds Sports Pose Extended (Johnson & Everingham, CVPR 2011): 10,000 people,
labelled by crowd workers.
Get lspet_dataset.zip from http://sam.johnson.io/research/lspet.html and unpack it into one folder:
    lspet/joints.mat             'joints', 14 x 3 x N: x, y, 1 = labelled
    lspet/images/im00001.jpg     five digits, one photo a person
Terms: no licence text; the authors ask to be cited, and the photos come from Flickr.""",
    "lsp": """Leeds Sports Pose (Johnson & Everingham, BMVC 2010): 2,000 people, 1,000 to train on,
then 1,000 to test.
Get lsp_dataset.zip from http://sam.johnson.io/research/lsp.html and unpack it into one folder:
    lsp/joints.mat               'joints', 3 x 14 x N: x, y, 1 = occluded
    lsp/images/im0001.jpg        four digits, one photo a person
Terms: no licence text; the authors ask to be cited, and the photos come from Flickr.""",
}


def inside(folder: Path, name: str, source: Path) -> Path:
    """`folder`/`name`, for a name that stands in the file `source`: it may not lead out of the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(source, name, f"a file inside {folder}")
    return path


def data_root(name: str, root: str | Path | None = None) -> Path:
    """The folder of a data set: `root`, or `name` inside the folder that MINIPOSE_DATA names."""
    if root is None:
        home = os.environ.get("MINIPOSE_DATA")
        if home is None:
            raise InputError(name, "root", "a folder (--root DIR), or the variable MINIPOSE_DATA set")
        root = Path(home) / name
    root = Path(root)
    if not root.is_dir():
        raise InputError(root, name, "a folder", "none of that name")
    return root
